#include "controlplane/config/config.h"

#include <algorithm>
#include <array>
#include <map>

#include "codecs/base/window_limiter.h"
#include "controlplane/config/reader.h"
#include "controlplane/config/sip_section.h"
#include "controlplane/core/negotiation.h"
#include "controlplane/core/uri.h"
#include "controlplane/core/worker_roles.h"

namespace ifgw::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t kMaxPath = 107;  // sun_path of a Unix socket
constexpr std::array<std::string_view, 3> kTransports{"udp", "tcp", "tls"};

class Loader {
 public:
  explicit Loader(Problems& problems) : problems_(problems) {}

  Config run(const Table& root) {
    Reader reader{root, "", {1, 1}, problems_};
    reader.table("dataplane", [&](Reader& r) { r.text("socket", kMaxPath, config_.dataplane_socket); });
    if (!reader.has("sip")) reader.require("sip");
    reader.table("sip", [&](Reader& r) { read_sip(r, config_.sip); });
    reader.table("limits", [&](Reader& r) { limits(r); });
    reader.table("call", [&](Reader& r) { call(r); });
    reader.table("media", [&](Reader& r) { media(r); });
    reader.table("pike", [&](Reader& r) { pike(r); });
    reader.require("route");
    reader.tables("route", core::kMaxRoutes, [&](Reader& r) { route(r); });
    reader.require("witness");
    reader.table("witness", [&](Reader& r) {
      r.require("file");
      r.text("file", 4096, config_.witness_file);
      r.flag("messages", config_.witness_messages);
    });
    reader.table("admin", [&](Reader& r) { admin(r); });
    reader.table("capture", [&](Reader& r) { capture(r); });
    reader.table("log", [&](Reader& r) {
      constexpr std::array<std::string_view, 4> levels{"debug", "info", "warning", "error"};
      auto level = static_cast<std::size_t>(config_.log_level);
      r.choice("level", levels, level);
      config_.log_level = static_cast<LogLevel>(level);
    });
    budget_route_targets(reader);
    reader.finish();
    // A leg that was told to end ends within 64*T1 (RFC 3261 section 17); the call waits a little longer.
    calls_.timers.clear = 64 * config_.sip.t1 + seconds{8};
    config_.calls = std::make_shared<const core::CallSettings>(std::move(calls_));
    return std::move(config_);
  }

 private:
  void limits(Reader& r) {
    core::CallLimits& c = calls_.limits;
    SipLimits& s = config_.sip_limits;
    r.number("calls", 1, 1'000'000, "calls", c.calls);
    r.number("calls_per_second", 0, 100'000, "calls/s", c.calls_per_second);
    r.number("retry_after", 1, 3600, "s", c.retry_after_s);
    r.number("sip_transactions", 64, 4'000'000, "transactions", s.transactions);
    r.number("sip_legs", 2, 2'000'000, "legs", s.legs);
    r.number("setups_in_flight", 1, 100'000, "calls", s.setups_in_flight);
    r.number("setups_per_second", 0, 100'000, "calls/s", s.setups_per_second);
    r.number("setup_burst", 1, 100'000, "calls", s.setup_burst);
    r.bytes("sip_message", 4096, 65536, s.message_bytes);
    if (s.legs < 2 * c.calls && r.has("sip_legs")) {
      r.problem("sip_legs", "value " + std::to_string(s.legs) + " is below two per call (limits.calls is " + std::to_string(c.calls) + ")");
    }
    s.legs = std::max(s.legs, 2 * c.calls);
  }

  void call(Reader& r) {
    core::CallTimers& t = calls_.timers;
    r.duration("setup_timeout", milliseconds{100}, minutes{1}, t.setup);
    r.duration("answer_timeout", seconds{1}, minutes{10}, t.answer);
    r.duration("max_duration", seconds{1}, hours{168}, t.max_duration);
  }

  void media(Reader& r) {
    core::MediaSettings& m = calls_.media;
    r.duration("timeout", Duration::zero(), hours{24}, m.timeout);
    if (m.timeout != Duration::zero() && m.timeout < seconds{1})
      r.problem("timeout", "value " + duration_text(m.timeout) + " is not 0s or in 1s..24h");
    r.flag("latching", m.latching);
    r.duration("latch_window", milliseconds{100}, seconds{60}, m.latch_window);
    r.number("dscp", 0, 63, "", m.dscp);
    r.flag("comfort_noise", m.comfort_noise);
    heavy_workers(r);
    r.table("opus", [&](Reader& t) { opus(t, m.opus); });
    r.table("speex", [&](Reader& t) { t.number("quality", 0, api::kMaxSpeexQuality, "", m.speex.quality); });
    r.table("g729", [&](Reader& t) { t.flag("annex_b", m.g729_annex_b); });
    r.tables("address", 16, [&](Reader& t) {
      std::optional<IpAddress> local, advertised;
      t.require("local");
      t.require("advertised");
      t.address("local", local);
      t.address("advertised", advertised);
      if (!local || !advertised) return;
      if (local->family != advertised->family) t.problem("advertised", "is of another IP version than local");
      const bool again = std::any_of(m.advertised.begin(), m.advertised.end(), [&](const auto& other) { return other.first == *local; });
      if (again) return t.problem("local", "value " + local->text() + " has a [[media.address]] already: remove one of them");
      m.advertised.emplace_back(*local, *advertised);
    });
  }

  // Whether the dataplane has them is known when it is attached.
  void heavy_workers(Reader& r) {
    std::vector<std::int64_t> workers;
    r.numbers("heavy_workers", 0, core::kMaxWorkers - 1, core::kMaxWorkers - 1, workers);
    for (const std::int64_t worker : workers) {
      const std::uint32_t bit = std::uint32_t{1} << worker;
      if ((config_.heavy_workers & bit) != 0) r.problem("heavy_workers", "names worker " + std::to_string(worker) + " twice");
      config_.heavy_workers |= bit;
    }
  }

  static void opus(Reader& r, core::OpusSettings& o) {
    r.number("complexity", 0, api::kMaxComplexity, "", o.complexity);
    r.number("bitrate", 0, api::kMaxOpusBitrate, "bit/s", o.bitrate_bps);
    if (o.bitrate_bps != 0 && o.bitrate_bps < api::kMinOpusBitrate)
      r.problem("bitrate", "value " + std::to_string(o.bitrate_bps) + " is not 0 or in 6000..128000 bit/s");
    r.flag("fec", o.fec);
    r.number("expected_loss", 0, 100, "%", o.expected_loss_percent);
    r.flag("dtx", o.dtx);
  }

  void pike(Reader& r) {
    Pike& p = config_.pike;
    r.number("requests", 1, WindowLimiter::kMaxRequests, "requests", p.requests);
    r.duration("window", milliseconds{100}, minutes{10}, p.window);
    r.duration("block", Duration::zero(), hours{24}, p.block);
    r.number("route_requests", 1, kMaxPrefixRequests, "requests", p.route_requests);
    r.duration("route_window", milliseconds{100}, minutes{10}, p.route_window);
    r.tables("prefix", kMaxPikePrefixes, [&](Reader& t) {
      std::optional<IpPrefix> prefix;
      PrefixLimit limit;
      t.require("prefix");
      t.require("requests");
      t.prefix("prefix", prefix);
      t.number("requests", 1, kMaxPrefixRequests, "requests", limit.requests);
      t.duration("window", milliseconds{100}, minutes{10}, limit.window);
      if (!prefix) return;
      const bool again =
          std::any_of(p.prefixes.begin(), p.prefixes.end(), [&](const PrefixLimit& other) { return other.prefix == *prefix; });
      if (again) return t.problem("prefix", "value " + prefix->text() + " has a [[pike.prefix]] already: remove one of them");
      limit.prefix = *prefix;
      p.prefixes.push_back(limit);
    });
    r.tables("exempt", kMaxPikePrefixes, [&](Reader& t) {
      std::optional<IpPrefix> prefix;
      t.require("prefix");
      t.prefix("prefix", prefix);
      if (prefix) p.exempt.push_back(*prefix);
    });
  }

  // Whom we call answers, and its answers must not spend the budget of a stranger: a target that no prefix and no
  // exemption covers gets a budget of its own.
  void budget_route_targets(Reader& r) {
    Pike& p = config_.pike;
    for (const core::Route& route : calls_.routes) {
      const IpAddress& target = route.next_hop.ip;
      const auto covers = [&target](const IpPrefix& prefix) { return prefix.contains(target); };
      if (!target.present() || std::any_of(p.exempt.begin(), p.exempt.end(), covers)) continue;
      PrefixLimit* covering = nullptr;  // the longest
      for (PrefixLimit& limit : p.prefixes) {
        if (covers(limit.prefix) && (covering == nullptr || limit.prefix.length > covering->prefix.length)) covering = &limit;
      }
      if (covering == nullptr) {
        const auto bits = static_cast<std::uint8_t>(target.is_v4() ? 32 : 128);
        p.prefixes.push_back({IpPrefix{target, bits}, p.route_requests, p.route_window, route.id});
      } else if (covering->route.empty()) {
        covering->route = route.id;
      }
    }
    if (p.prefixes.size() + p.exempt.size() > kMaxPikePrefixes)
      r.problem("pike", "prefixes, exemptions and route targets outside them are more than " + std::to_string(kMaxPikePrefixes) +
                            ": give neighbouring targets one [[pike.prefix]]");
  }

  void codecs(Reader& r, std::string_view key, std::vector<api::Codec>& target) {
    target = {api::Codec::Pcma, api::Codec::Pcmu};
    bool first = true;
    r.texts(key, api::kMaxCodec, [&](const std::string& text, Position at) {
      if (first) target.clear();
      first = false;
      const auto codec = core::codec_named(text);
      if (!codec) return r.problem_at(at, key, "value \"" + text.substr(0, 20) + "\" is none of " + core::every_codec());
      if (std::find(target.begin(), target.end(), *codec) != target.end()) return r.problem_at(at, key, "names \"" + text + "\" twice");
      target.push_back(*codec);
    });
  }

  static void pattern(Reader& r, std::string_view key, core::Pattern& target) {
    r.text(key, 255, target.text);
    const std::size_t star = target.text.find('*');
    if (star != std::string::npos && star + 1 != target.text.size()) r.problem(key, "may hold '*' only as its last character");
  }

  void route(Reader& r) {
    core::Route route;
    r.require("id");
    r.require("target");
    r.text("id", 64, route.id);
    pattern(r, "user", route.user);
    pattern(r, "host", route.host);
    r.text("target", 1024, route.target);
    std::optional<Endpoint> next_hop;
    r.endpoint("next_hop", next_hop);
    std::optional<Endpoint> local;
    r.endpoint("local", local);
    if (local) route.local = *local;
    std::size_t transport = 0;
    r.choice("transport", kTransports, transport);
    route.transport = std::string{kTransports[transport]};
    codecs(r, "caller_codecs", route.caller.codecs);
    codecs(r, "callee_codecs", route.callee.codecs);
    r.address("caller_media_address", route.caller.media_address);
    r.address("callee_media_address", route.callee.media_address);
    std::string tls_name;
    r.text("tls_name", 255, tls_name);
    finish_route(r, route, next_hop, tls_name);
  }

  void finish_route(Reader& r, core::Route& route, const std::optional<Endpoint>& next_hop, const std::string& tls_name) {
    for (const core::Route& other : calls_.routes) {
      if (other.id == route.id) r.problem("id", "\"" + route.id + "\" is the id of another route");
    }
    if (route.target.empty()) return;
    std::string sample = route.target;
    if (const std::size_t at = sample.find("{user}"); at != std::string::npos) sample.replace(at, 6, "x");
    const auto uri = core::split_uri(sample);
    if (!uri || sample.find_first_of("{} \"<>") != std::string::npos) {
      return r.problem("target", "value \"" + route.target + "\" is no SIP URI like \"sip:{user}@192.0.2.7:5060\"");
    }
    if (uri->scheme.size() == std::string_view{"sips"}.size() && route.transport != "tls")
      r.problem("target", "is a sips: URI, which wants TLS on every hop: set transport = \"tls\", or make it sip:");
    const auto from_uri = uri->endpoint();
    if (!next_hop && !from_uri) return r.problem("target", "names a host: set next_hop to its address (names are not resolved)");
    route.next_hop = next_hop ? *next_hop : *from_uri;
    if (!next_hop && route.transport == "tls" && uri->port == 0) route.next_hop.port = 5061;
    check_not_ourselves(r, route, next_hop ? "next_hop" : "target");
    choose_listener(r, route);
    if (route.transport == "tls") name_tls_peer(r, route, tls_name);
    calls_.routes.push_back(std::move(route));
  }

  // Its calls would come back to us, be routed again, and end only with Max-Forwards.
  void check_not_ourselves(Reader& r, const core::Route& route, std::string_view key) {
    for (const Listener& l : listeners(config_.sip)) {
      const Endpoint& to = route.next_hop;
      if (l.stream != (route.transport != "udp") || !takes(l, to)) continue;
      return r.problem(key, "leads to " + to.text() + ", where this gateway itself listens (sip." + std::string{l.key} + " " + l.at.text() +
                                "): name the party that takes the calls");
    }
  }

  // Connections belong to a peer, not to a route, and are shared: what the peer's certificate must name is one thing.
  void name_tls_peer(Reader& r, const core::Route& route, const std::string& name) {
    const auto named = [](const std::string& n) { return n.empty() ? std::string{"its address"} : "\"" + n + "\""; };
    const auto [peer, fresh] = tls_peers_.try_emplace(route.next_hop, TlsPeer{route.id, name});
    if (!fresh && peer->second.name != name) {
      r.problem("tls_name", "of " + route.next_hop.text() + " is " + named(name) + " here and " + named(peer->second.name) +
                                " in route \"" + peer->second.route + "\": give both the same");
    }
    if (fresh && !name.empty()) config_.sip.tls_names.emplace_back(route.next_hop, name);
  }

  // The listener the route's requests go out from: the one that is named, else the only one that can.
  void choose_listener(Reader& r, core::Route& route) {
    const Sip& s = config_.sip;
    const std::vector<Endpoint>& all = route.transport == "udp" ? s.udp : route.transport == "tcp" ? s.tcp : s.tls;
    if (all.empty()) return r.problem("transport", "\"" + route.transport + "\" has no listener: set sip." + route.transport);
    if (route.local.present()) {
      const bool known = std::find(all.begin(), all.end(), route.local) != all.end();
      if (!known) r.problem("local", "value " + route.local.text() + " is none of sip." + route.transport);
      return;
    }
    std::vector<Endpoint> fitting;
    std::copy_if(all.begin(), all.end(), std::back_inserter(fitting),
                 [&](const Endpoint& e) { return e.ip.family == route.next_hop.ip.family; });
    if (fitting.empty())
      return r.problem("next_hop", route.next_hop.text() + " is of an IP version no listener of sip." + route.transport + " has");
    if (fitting.size() > 1) return r.problem("", "could go out from several listeners: set local to one of sip." + route.transport);
    route.local = fitting.front();
  }

  void admin(Reader& r) {
    r.text("socket", kMaxPath, config_.admin_socket);
    r.file_mode("mode", config_.admin_mode);
    r.numbers("uids", 0, 0xFFFF'FFFE, 64, config_.admin_uids);
    if (config_.admin_socket == config_.dataplane_socket) r.problem("socket", "is also dataplane.socket: give them different paths");
  }

  void capture(Reader& r) {
    Capture& c = config_.capture;
    constexpr std::array<std::string_view, 2> payloads{"headers", "full"};
    std::size_t payload = c.payload ? 1 : 0;
    r.flag("enabled", c.enabled);
    r.choice("payload", payloads, payload);
    c.payload = payload == 1;
    r.number("max_seconds", 1, 3600, "s", c.max_seconds);
    r.bytes("max_bytes", std::size_t{64} << 10, std::size_t{1} << 30, c.max_bytes);
  }

  struct TlsPeer {
    std::string route;  // the first that leads there
    std::string name;   // its tls_name
  };

  Problems& problems_;
  Config config_;
  core::CallSettings calls_;
  std::map<Endpoint, TlsPeer> tls_peers_;  // by next hop
};

}  // namespace

Loaded parse_config(std::string_view text, std::string_view file_name) {
  Problems problems{file_name};
  const auto document = parse_document(text);
  if (const auto* error = std::get_if<SyntaxError>(&document)) {
    problems.add(error->position, "", error->message);
    return problems.lines();
  }
  Config config = Loader{problems}.run(std::get<Table>(document));
  if (!problems.empty()) return problems.lines();
  return config;
}

}  // namespace ifgw::config
