// Dialog state (RFC 3261 section 12): what is needed to send requests inside a call and to recognise those of the
// party. A value; transactions and timers live elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/sip/message/message.h"
#include "controlplane/sip/outbox.h"

namespace ifgw::sip {

struct Dialog {
  std::string call_id;
  std::string local;   // our From (To, as UAS) value with tag
  std::string remote;  // their value, with tag once known
  std::string local_tag;
  std::string remote_tag;  // empty: not established
  std::uint32_t local_cseq = 0;
  std::optional<std::uint32_t> remote_cseq;  // absent: none seen (section 12.1.2)
  std::string request_uri;                   // of requests to them: remote target, or the first strict route (section 12.2.1.1)
  std::vector<std::string> routes;           // Route values in order
  bool strict_route = false;                 // the last route is the remote target
  Hop hop;                                   // where those requests go
};

// Makes request_uri, routes and hop from the remote target and the route set (already in sending order). When the next
// hop's URI is a name, requests go where the party's messages came from (`seen`): there is no DNS inside the signalling
// path, and behind a NAT that is the address that works.
void set_route(Dialog& dialog, const Uri& target, const std::vector<std::string>& route_set, const Hop& seen);

// Replaces the remote target only (target refresh, section 12.2.2); the route set never changes.
void set_target(Dialog& dialog, const Uri& target, const Hop& seen);

// UAS: from the INVITE and our tag (section 12.1.1). False: it has no usable Contact.
bool make_uas_dialog(const Message& invite, std::string_view local_tag, const Hop& seen, Dialog& dialog);

// UAC: completes what the INVITE began from a 2xx (section 12.1.2). False: it has no usable Contact or no To tag.
bool complete_uac_dialog(const Message& response, const Hop& seen, Dialog& dialog);

}  // namespace ifgw::sip
