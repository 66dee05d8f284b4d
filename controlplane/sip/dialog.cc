#include "controlplane/sip/dialog.h"

#include <algorithm>

#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

// The URI between the brackets of a Route value.
std::string_view inside(std::string_view route) noexcept {
  const std::size_t open = route.find('<');
  const std::size_t close = route.find('>', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos) return route;
  return route.substr(open + 1, close - open - 1);
}

Hop hop_to(const Uri& next, const Hop& seen) {
  Hop hop = seen;
  const auto transport = next.wanted_transport(seen.transport);
  const auto endpoint = next.endpoint();
  if (!transport || !endpoint) return hop;
  hop.destination = *endpoint;
  if (*transport != seen.transport) {
    hop.transport = *transport;
    hop.connection = 0;
    hop.local = {};
  }
  return hop;
}

}  // namespace

void set_route(Dialog& dialog, const Uri& target, const std::vector<std::string>& route_set, const Hop& seen) {
  dialog.routes = route_set;
  dialog.strict_route = false;
  set_target(dialog, target, seen);
}

void set_target(Dialog& dialog, const Uri& target, const Hop& seen) {
  if (dialog.routes.empty()) {
    dialog.request_uri = target.text;
    dialog.hop = hop_to(target, seen);
    return;
  }
  if (dialog.strict_route) {
    dialog.routes.back() = "<" + target.text + ">";
    return;
  }
  const auto first = parse_uri(inside(dialog.routes.front()));
  if (!first) {  // checked when it was received; treat as loose and keep to the known address
    dialog.request_uri = target.text;
    dialog.hop = seen;
    return;
  }
  dialog.hop = hop_to(*first, seen);
  if (first->loose_route) {
    dialog.request_uri = target.text;
    return;
  }
  // Strict router: its URI goes into the request line, the target to the end of the route.
  dialog.strict_route = true;
  dialog.request_uri = first->text;
  dialog.routes.erase(dialog.routes.begin());
  dialog.routes.push_back("<" + target.text + ">");
}

bool make_uas_dialog(const Message& invite, std::string_view local_tag, const Hop& seen, Dialog& dialog) {
  if (!invite.contact() || invite.contact()->uri.scheme == Scheme::Other) return false;
  const PreScan& scan = invite.scan();
  dialog.call_id = std::string(scan.call_id);
  dialog.local_tag = std::string(local_tag);
  dialog.local = unfold(scan.to) + ";tag=" + dialog.local_tag;
  dialog.remote = unfold(scan.from);
  dialog.remote_tag = std::string(scan.from_tag);
  dialog.remote_cseq = scan.cseq;
  set_route(dialog, invite.contact()->uri, invite.record_route(), seen);
  return true;
}

bool complete_uac_dialog(const Message& response, const Hop& seen, Dialog& dialog) {
  if (response.scan().to_tag.empty() || !response.contact() || response.contact()->uri.scheme == Scheme::Other) return false;
  dialog.remote = unfold(response.scan().to);
  dialog.remote_tag = std::string(response.scan().to_tag);
  std::vector<std::string> routes = response.record_route();
  std::reverse(routes.begin(), routes.end());
  set_route(dialog, response.contact()->uri, routes, seen);
  return true;
}

}  // namespace ifgw::sip
