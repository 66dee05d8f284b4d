// The surroundings of core::Calls for tests, in virtual time: a model of the dataplane's leg table that answers when
// told to, a witness that remembers, a guard that can be told what to say, and protocol stacks that keep the contract
// of leg.h (every opened leg ends exactly once, after EndLeg or by itself).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "controlplane/core/calls.h"

namespace ifgw::test {

struct ModelMedia : core::Media {
  struct Leg {
    api::AddLeg added;
    api::MediaParams media;
    api::LegId peer;
  };

  bool attached() const override { return is_attached; }
  core::CallWeight weight(api::Codec a, api::Codec b) const override {
    return divided && a != b && (a == heavy || b == heavy) ? core::CallWeight::Heavy : core::CallWeight::Light;
  }
  std::uint8_t choose_worker(core::CallWeight weight) override { return weight == core::CallWeight::Heavy ? 5 : 3; }
  bool carries(std::uint8_t worker, core::CallWeight weight) const override {
    return weight == core::CallWeight::Light || !divided || worker == 5;
  }
  bool has_headroom(std::uint8_t worker, api::Codec a, api::Codec b) const override {
    return a == b || !(no_time_to_transcode || (worker == 5 && heavy_worker_full));
  }
  const std::vector<IpAddress>& local_addresses() const override { return addresses; }
  std::uint32_t codec_mask() const override { return mask; }

  void add_leg(core::MediaRequestId request, std::uint8_t worker, const api::AddLeg& leg) override {
    core::MediaDone done{request, next_status(), {}, {}};
    if (done.status == core::MediaStatus::Ok && legs.size() >= capacity) done.status = core::MediaStatus::TableFull;
    if (done.status == core::MediaStatus::Ok) {
      done.leg = api::LegId::make(worker, next_index, 1);
      done.local = Endpoint{addresses.at(leg.local_address), static_cast<std::uint16_t>(20000 + 2 * next_index++)};
      legs[done.leg.value] = Leg{leg, leg.media, {}};
    }
    answers.push_back(done);
  }
  void join_legs(core::MediaRequestId request, api::LegId a, api::LegId b) override {
    core::MediaDone done{request, next_status(), a, {}};
    if (done.status == core::MediaStatus::Ok && (!legs.contains(a.value) || !legs.contains(b.value)))
      done.status = core::MediaStatus::UnknownLeg;
    if (done.status == core::MediaStatus::Ok) {
      legs[a.value].peer = b;
      legs[b.value].peer = a;
    }
    answers.push_back(done);
  }
  void update_leg(core::MediaRequestId request, api::LegId leg, const api::MediaParams& media) override {
    core::MediaDone done{request, next_status(), leg, {}};
    if (done.status == core::MediaStatus::Ok && !legs.contains(leg.value)) done.status = core::MediaStatus::UnknownLeg;
    if (done.status == core::MediaStatus::Ok) legs[leg.value].media = media;
    answers.push_back(done);
  }
  void remove_leg(core::MediaRequestId request, api::LegId leg) override {
    core::MediaDone done{request, next_status(), leg, {}};
    if (done.status == core::MediaStatus::Overloaded || done.status == core::MediaStatus::Detached) return answers.push_back(done);
    done.status = legs.erase(leg.value) == 0 ? core::MediaStatus::UnknownLeg : core::MediaStatus::Ok;  // nothing else can refuse it
    answers.push_back(done);
  }

  void move_legs(core::MediaRequestId request, std::uint8_t worker, api::LegId a, api::LegId b) override {
    core::MediaDone done{request, next_status(), {}, {}};
    if (done.status == core::MediaStatus::Ok && (!legs.contains(a.value) || !legs.contains(b.value) || a.worker() == worker))
      done.status = core::MediaStatus::UnknownLeg;
    if (done.status == core::MediaStatus::Ok ||
        (done.status == core::MediaStatus::NoTranscoder && legs.contains(a.value) && legs.contains(b.value))) {
      const bool joined = done.status == core::MediaStatus::Ok && legs[a.value].peer == b;
      done.leg = api::LegId::make(worker, next_index++, 1);
      done.other = api::LegId::make(worker, next_index++, 1);
      for (const auto& [from, to, peer] : {std::tuple{a, done.leg, done.other}, std::tuple{b, done.other, done.leg}}) {
        legs[to.value] = legs[from.value];
        legs[to.value].peer = joined ? peer : api::LegId{};
        legs.erase(from.value);
      }
      ++moves;
    }
    answers.push_back(done);
  }

  core::MediaStatus next_status() {
    if (!is_attached) return core::MediaStatus::Detached;
    if (fail_next.empty()) return core::MediaStatus::Ok;
    const core::MediaStatus status = fail_next.front();
    fail_next.pop_front();
    return status;
  }

  bool is_attached = true;
  bool no_time_to_transcode = false;
  bool divided = false;  // worker 5 is for calls between `heavy` and another codec, 3 for all others
  bool heavy_worker_full = false;
  api::Codec heavy = api::Codec::Pcma;
  unsigned moves = 0;
  std::vector<IpAddress> addresses{*IpAddress::parse("10.0.0.1"), *IpAddress::parse("10.1.0.1"), *IpAddress::parse("2001:db8::1")};
  std::uint32_t mask = 1u << static_cast<unsigned>(api::Codec::Pcmu) | 1u << static_cast<unsigned>(api::Codec::Pcma);
  std::size_t capacity = 1'000'000;
  std::uint32_t next_index = 1;
  std::map<std::uint64_t, Leg> legs;
  std::deque<core::MediaDone> answers;      // to be delivered
  std::deque<core::MediaStatus> fail_next;  // statuses of the next requests
};

struct MemoryWitness : core::Witness {
  struct Kept {
    std::string event;
    std::string trace_id;
    std::uint64_t call;
    std::map<std::string, std::string> details;
  };
  bool record(const core::AuditRecord& r, Instant) override {
    if (fail_from != 0 && records.size() + 1 >= fail_from) return false;
    Kept kept{std::string{r.event}, r.trace_id, r.call, {}};
    for (const auto& [key, value] : r.details) kept.details[std::string{key}] = value;
    records.push_back(std::move(kept));
    return true;
  }
  std::vector<std::string> events() const {
    std::vector<std::string> names;
    for (const Kept& k : records) names.push_back(k.event);
    return names;
  }
  const Kept* last(const std::string& event) const {
    for (auto it = records.rbegin(); it != records.rend(); ++it) {
      if (it->event == event) return &*it;
    }
    return nullptr;
  }
  std::vector<Kept> records;
  std::size_t fail_from = 0;  // records from this one on fail; 0: none
};

struct PlainGuard : core::Guard {
  void decide(const core::CallRequest& request, Instant now) override {
    asked.push_back(request.call);
    if (answer_at_once) calls->on_decision(request.call, decision, now);
  }
  core::Calls* calls = nullptr;
  bool answer_at_once = true;
  core::Decision decision{true, "policy", "allow-all", "", "", "", 403, 0};
  std::vector<std::uint64_t> asked;
};

inline std::string audio_sdp(const std::string& address, unsigned port, const std::string& formats, const std::string& extra = "") {
  return "v=0\r\no=- 1 1 IN IP4 " + address + "\r\ns=-\r\nc=IN IP4 " + address + "\r\nt=0 0\r\nm=audio " + std::to_string(port) +
         " RTP/AVP " + formats + "\r\n" + extra;
}

class CallWorld {
 public:
  CallWorld() {
    auto s = std::make_shared<core::CallSettings>();
    core::Route route;
    route.id = "experts";
    route.user = {"expert*"};
    route.target = "sip:{user}@192.0.2.7:5060";
    route.next_hop = *Endpoint::parse("192.0.2.7:5060");
    route.caller.codecs = {api::Codec::Pcma, api::Codec::Pcmu};
    route.callee.codecs = {api::Codec::Pcmu};
    route.callee.media_address = *IpAddress::parse("10.1.0.1");
    s->routes.push_back(route);
    s->limits.calls_per_second = 0;
    settings = s;
  }

  core::Calls& calls() {
    if (!calls_) {
      calls_ = std::make_unique<core::Calls>(
          settings, core::CallPorts{guard, media, witness, [this] { return core::LegKey{next_leg++}; }, view}, HashKey{});
      guard.calls = calls_.get();
    }
    return *calls_;
  }

  core::LegKey offer(const std::string& sdp, const std::string& uri = "sip:expert-safety@gw.example") {
    core::LegOffered e;
    e.leg = core::LegKey{next_leg++};
    e.trace_id = "trace-" + std::to_string(e.leg.value);
    e.request_uri = uri;
    e.from = "sip:agent@swarm.example";
    e.from_display = display;
    e.to = uri;
    e.call_id = "call-" + std::to_string(e.leg.value);
    e.headers = headers;
    e.security.source = *Endpoint::parse("10.0.0.9:5060");
    e.security.local = *Endpoint::parse("10.0.0.1:5060");
    e.security.transport = "udp";
    e.sdp = sdp;
    open.insert(e.leg.value);
    give(e);
    return e.leg;
  }
  template <typename Event>
  void give(const Event& e) {
    calls().on_leg(e, now);
    collect();
  }
  void end(core::LegKey leg, core::EndCause cause = core::EndCause::Bye, int status = 0, const std::string& text = "") {
    if (open.erase(leg.value) != 0) give(core::LegEnded{leg, cause, status, text});
  }
  // Delivers the dataplane's answers, also those that follow.
  void settle_media() {
    while (!media.answers.empty()) {
      const core::MediaDone done = media.answers.front();
      media.answers.pop_front();
      calls().on_media(done, now);
      collect();
    }
  }
  void advance(Duration d) {
    const Instant until = now + d;
    while (calls().next_deadline() <= until) {
      now = std::max(now, calls().next_deadline());
      calls().on_timer(now);
      collect();
    }
    now = until;
  }
  void collect() {
    for (core::LegCommand& c : calls().take_commands()) {
      if (const auto* o = std::get_if<core::OfferLeg>(&c)) {
        open.insert(o->leg.value);
        callee = o->leg;
      }
      if (const auto* e = std::get_if<core::EndLeg>(&c)) ending.insert(e->leg.value);
      commands.push_back(std::move(c));
    }
  }
  // Legs that were told to end do so now.
  void settle_legs() {
    while (!ending.empty()) {
      const core::LegKey leg{*ending.begin()};
      ending.erase(ending.begin());
      end(leg);
    }
  }
  template <typename Command>
  const Command* last() const {
    for (auto it = commands.rbegin(); it != commands.rend(); ++it) {
      if (const auto* c = std::get_if<Command>(&*it)) return c;
    }
    return nullptr;
  }
  // The reason the leg was told to end with; empty: it was not.
  std::string told(core::LegKey leg) const {
    for (auto it = commands.rbegin(); it != commands.rend(); ++it) {
      if (const auto* e = std::get_if<core::EndLeg>(&*it); e != nullptr && e->leg == leg) return e->reason;
    }
    return {};
  }
  // A connected call; `caller` and `callee` are its legs.
  void connect(const std::string& offer_sdp = audio_sdp("10.0.0.9", 4000, "0 8 101", "a=rtpmap:101 telephone-event/8000\r\n")) {
    caller = offer(offer_sdp);
    settle_media();
    give(core::LegProgressed{callee, 180, "Ringing", ""});
    give(core::LegAnswered{callee, audio_sdp("192.0.2.7", 6000, "0 101", "a=rtpmap:101 telephone-event/8000\r\n")});
    settle_media();
  }
  const core::Call& only_call() { return *calls().list(1).at(0); }
  bool nothing_left() { return calls().size() == 0 && calls().timers() == 0 && media.legs.empty() && open.empty(); }

  std::shared_ptr<const core::CallSettings> settings;
  ModelMedia media;
  MemoryWitness witness;
  PlainGuard guard;
  const core::DataplaneView* view = nullptr;  // to be set before the first use of calls()
  core::Headers headers;
  std::string display;  // of the caller
  Instant now = from_ns(1'000'000'000);
  std::uint64_t next_leg = 1;
  core::LegKey caller, callee;
  std::set<std::uint64_t> open;    // legs whose LegEnded was not given yet
  std::set<std::uint64_t> ending;  // of these: told to end
  std::vector<core::LegCommand> commands;

 private:
  std::unique_ptr<core::Calls> calls_;
};

}  // namespace ifgw::test
