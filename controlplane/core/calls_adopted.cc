// Media legs that an earlier control plane left behind: its calls go on without signalling until both parties are silent.
#include "controlplane/core/calls.h"

namespace ifgw::core {
namespace {

// Given to adopted legs that have none, where the operator set none either: they must not stay for ever.
constexpr Duration kAdoptedTimeout = std::chrono::seconds{60};
constexpr std::size_t kInstanceBytes = 8;  // of a tag: what all legs of one control plane share

std::string hex(const api::CallTag& tag) {
  std::string text;
  for (const std::uint8_t byte : tag) {
    text.push_back("0123456789abcdef"[byte >> 4]);
    text.push_back("0123456789abcdef"[byte & 15]);
  }
  return text;
}

}  // namespace

bool Calls::is_own(const api::LegInfo& leg) const noexcept {
  const api::CallTag own = tag(0, Party::Caller);
  return std::equal(own.begin(), own.begin() + kInstanceBytes, leg.tag.begin());
}

void Calls::adopt(const api::LegInfo& leg, Instant now) {
  if (adopted_.size() >= kMaxAdoptedLegs || !adopted_.emplace(leg.id.value, AdoptedLeg{leg}).second) return;
  ++statistics_.adopted;
  record_adopted(leg, "LEG_ADOPTED", {}, now);
  if (leg.media.media_timeout_ms == 0) request_timeout(leg);
}

void Calls::request_timeout(const api::LegInfo& leg) {
  api::MediaParams media = leg.media;
  const Duration timeout = settings_->media.timeout != Duration::zero() ? settings_->media.timeout : kAdoptedTimeout;
  media.media_timeout_ms = static_cast<std::uint32_t>(timeout / std::chrono::milliseconds{1});
  ports_.media.update_leg(open_request({0, Party::Caller, RequestKind::Adopt, leg.id}), leg.id, media);
}

void Calls::note_silence(api::LegId leg, Instant now) {
  const auto it = adopted_.find(leg.value);
  if (it == adopted_.end()) return;
  it->second.silent_at = now;
  remove_silent_pair(leg, now);
}

// Now, and not only when its timeout was reported: nothing reports that a leg talks again. Its next silence is.
bool Calls::silent(const AdoptedLeg& leg) const {
  if (leg.info.media.receive == 0) return true;  // on hold by us: its timeout is never reported
  if (leg.silent_at == kNever) return false;
  const auto seen = ports_.view == nullptr ? std::nullopt : ports_.view->leg(leg.info.id);
  return !seen || from_ns(static_cast<std::int64_t>(seen->last_rx_ns)) <= leg.silent_at;
}

void Calls::remove_silent_pair(api::LegId leg, Instant now) {
  const auto it = adopted_.find(leg.value);
  if (it == adopted_.end() || !silent(it->second)) return;
  const auto peer = adopted_.find(it->second.info.peer.value);
  if (peer != adopted_.end() && !silent(peer->second)) return;  // the other party still talks: it may be a hold
  const api::LegId peer_leg = peer == adopted_.end() ? api::LegId{} : it->second.info.peer;
  const bool timed_out = it->second.silent_at != kNever || (peer != adopted_.end() && peer->second.silent_at != kNever);
  for (const api::LegId gone : {leg, peer_leg}) {
    if (!gone.present()) continue;
    forget_adopted(gone, timed_out ? "media-timeout" : "nobody-may-talk", now);
    ++statistics_.adopted_removed;
    request_remove({0, Party::Caller, RequestKind::Remove, gone});
  }
}

// `why` is the rule of the record: the closed set is in tools/docs/protocol/audit.md.
void Calls::forget_adopted(api::LegId leg, std::string_view why, Instant now) {
  const auto it = adopted_.find(leg.value);
  Details details{{"rule", std::string{why}}};
  if (const auto seen = ports_.view == nullptr ? std::nullopt : ports_.view->leg(leg)) {
    details.emplace_back("rx_packets", std::to_string(seen->rx_packets));
    details.emplace_back("tx_packets", std::to_string(seen->tx_packets));
    details.emplace_back("lost", std::to_string(seen->expected > seen->rx_packets ? seen->expected - seen->rx_packets : 0));
  }
  record_adopted(it->second.info, "ADOPTED_LEG_REMOVED", std::move(details), now);
  adopted_.erase(it);
}

// The call is not known any more, only its tag: number and party in the audit trail of the process that made it.
void Calls::record_adopted(const api::LegInfo& leg, std::string_view event, Details details, Instant now) {
  std::uint64_t rest = 0;
  std::memcpy(&rest, leg.tag.data() + kInstanceBytes, sizeof rest);
  AuditRecord record;
  record.event = event;
  record.severity = Severity::Warn;
  record.details = {{"media_leg", text(leg.id)},
                    {"peer_leg", text(leg.peer)},
                    {"tag", hex(leg.tag)},
                    {"earlier_call", std::to_string(rest >> 8)},
                    {"earlier_party", (rest & 0xFF) == 0 ? "caller" : "callee"},
                    {"local", leg.local.text()},
                    {"remote", leg.current_remote.present() ? leg.current_remote.text() : leg.media.remote.text()}};
  for (auto& detail : details) record.details.push_back(std::move(detail));
  if (!ports_.witness.record(record, now)) ++statistics_.records_lost;
}

}  // namespace ifgw::core
