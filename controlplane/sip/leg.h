// One SIP leg inside the user agent: a dialog and the INVITE usage that made it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/core/leg.h"
#include "controlplane/sip/dialog.h"
#include "controlplane/sip/outbox.h"
#include "controlplane/sip/slot_table.h"

namespace ifgw::sip {

enum class LegState : std::uint8_t {
  Offered,   // UAS: INVITE received, not answered
  Answered,  // UAS: 2xx sent, no ACK yet
  Calling,   // UAC: INVITE sent, no final answer
  Confirmed,
  Ending,  // BYE or CANCEL is under way, or waits for its moment
};

// Our last response to an INVITE of theirs, while it has to be repeated by us (RFC 3261 section 13.3.1).
struct Repeated {
  Wire bytes;
  SlotId server = 0;
  std::uint32_t cseq = 0;
  int status = 0;
  Duration interval{};
  Instant resend_at = kNever;
  Instant give_up_at = kNever;  // 2xx without ACK
  bool carries_offer = false;   // the ACK brings the answer

  bool unacknowledged() const noexcept { return status >= 200; }
};

// A re-INVITE or UPDATE of theirs that core has not answered yet.
struct TheirUpdate {
  SlotId server = 0;
  std::string stem;
  bool is_invite = false;
  bool had_offer = false;
  std::uint32_t cseq = 0;
  std::optional<Uri> target;  // takes effect with our 2xx

  bool pending() const noexcept { return server != 0; }
};

// A dialog that a 1xx of the called party began (RFC 3261 section 12.1.2); forks have several. What the party is reached by
// comes with its 2xx, which replaces target and route set (section 13.2.2.4).
struct EarlyDialog {
  std::string tag;  // theirs
  std::optional<std::uint32_t> remote_cseq;
};
inline constexpr std::size_t kMaxEarlyDialogs = 8;  // per leg; the requests of further forks are answered 481

struct Leg {
  core::LegKey key;
  bool is_uas = false;
  LegState state = LegState::Offered;
  bool ringing = false;
  Dialog dialog;
  Owner owner;
  ConnectionId heard_on = 0;  // the last one that a message of the party's came over; 0: none

  SlotId invite = 0;       // server or client transaction of the first INVITE
  std::string stem;        // UAS: of its responses, until answered
  bool had_offer = false;  // the first INVITE carried an offer
  bool secure = false;     // sips
  Repeated repeated;
  TheirUpdate theirs;

  std::vector<EarlyDialog> early;  // UAC: until the first 2xx

  SlotId ours = 0;       // our re-INVITE
  std::string ours_sdp;  // its offer, while it waits to be sent
  Instant retry_at = kNever;

  bool provisional = false;  // UAC: a 1xx came, so CANCEL may be sent
  bool cancel_wanted = false;
  bool cancel_sent = false;     // for the open INVITE: the first one, or ours
  bool bye_wanted = false;      // UAS: as soon as the ACK is here (section 15)
  bool ack_held = false;        // UAC: the 2xx had the offer, core owes the answer
  bool reported = false;        // LegEnded is out
  bool over = false;            // only the answer to `ours` is waited for, to acknowledge it
  Instant give_up_at = kNever;  // UAC: no answer; an open re-INVITE of ours: likewise, since its first 1xx; Ending: no end

  core::EndCause cause = core::EndCause::Bye;
  int status = 0;
  std::string reason;         // for LegEnded
  std::string reason_header;  // for BYE or CANCEL

  EarlyDialog* early_dialog(std::string_view their_tag) noexcept {
    const auto found = std::find_if(early.begin(), early.end(), [&](const EarlyDialog& one) { return one.tag == their_tag; });
    return found == early.end() ? nullptr : &*found;
  }
  Instant deadline() const noexcept {
    Instant first = give_up_at < retry_at ? give_up_at : retry_at;
    if (repeated.resend_at < first) first = repeated.resend_at;
    return repeated.give_up_at < first ? repeated.give_up_at : first;
  }
};

}  // namespace ifgw::sip
