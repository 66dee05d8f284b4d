#include "controlplane/config/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "controlplane/config/advertised.h"
#include "controlplane/config/reader.h"

namespace ifgw::config {
namespace {

const std::string kGood =
    "[sip]\nudp = \"192.0.2.1:5060\"\n[[route]]\nid = \"a\"\ntarget = \"sip:{user}@192.0.2.7\"\n[witness]\nfile = \"/tmp/w\"\n";

std::vector<std::string> problems(const std::string& text) {
  const Loaded loaded = parse_config(text, "x.toml");
  return std::holds_alternative<Config>(loaded) ? std::vector<std::string>{} : std::get<std::vector<std::string>>(loaded);
}
std::string only_problem(const std::string& text) {
  const auto found = problems(text);
  EXPECT_EQ(found.size(), 1u) << text;
  for (std::size_t i = 1; i < found.size(); ++i) ADD_FAILURE() << found[i];
  return found.empty() ? "" : found[0];
}
Config good(const std::string& text) {
  Loaded loaded = parse_config(text, "x.toml");
  if (const auto* lines = std::get_if<std::vector<std::string>>(&loaded)) {
    for (const std::string& line : *lines) ADD_FAILURE() << line;
    return {};
  }
  return std::get<Config>(std::move(loaded));
}

TEST(Config, RouteTargetsHaveABudgetOfTheirOwn) {
  const Config plain = good(kGood);
  ASSERT_EQ(plain.pike.prefixes.size(), 1u);
  EXPECT_EQ(plain.pike.prefixes[0].prefix.text(), "192.0.2.7/32");
  EXPECT_EQ(plain.pike.prefixes[0].requests, 5000u);
  const Config own = good(std::string(kGood) + "[pike]\nroute_requests = 7\nroute_window = \"2s\"\n");
  EXPECT_EQ(own.pike.prefixes.at(0).requests, 7u);
  EXPECT_EQ(own.pike.prefixes.at(0).window, std::chrono::seconds{2});
  EXPECT_EQ(good(std::string(kGood) + "[[pike.prefix]]\nprefix = \"192.0.2.0/24\"\nrequests = 9\n").pike.prefixes.size(), 1u)
      << "covered by the operator's";
  EXPECT_TRUE(good(std::string(kGood) + "[[pike.exempt]]\nprefix = \"192.0.2.0/24\"\n").pike.prefixes.empty());
}

TEST(Config, EachBudgetSaysWhichRouteNeedsIt) {
  const auto prefix = [](const char* text) { return std::string{"[[pike.prefix]]\nprefix = \""} + text + "\"\nrequests = 9\n"; };
  const std::string id = good(kGood).calls->routes.at(0).id;
  EXPECT_EQ(good(kGood).pike.prefixes.at(0).route, id);
  const Config c = good(std::string(kGood) + prefix("10.0.0.0/8") + prefix("192.0.2.0/24") + prefix("192.0.0.0/16"));
  ASSERT_EQ(c.pike.prefixes.size(), 3u);
  EXPECT_EQ(c.pike.prefixes[0].route, "");
  EXPECT_EQ(c.pike.prefixes[1].route, id) << "the longest that covers its target";
  EXPECT_EQ(c.pike.prefixes[2].route, "");
}

TEST(Config, CapturesShowNoPayloadUnlessItIsAllowed) {
  const Config plain = good(kGood);
  EXPECT_TRUE(plain.capture.enabled);
  EXPECT_FALSE(plain.capture.payload);
  const Config own = good(kGood + "[capture]\nenabled = false\npayload = \"full\"\nmax_seconds = 60\nmax_bytes = \"1MB\"\n");
  EXPECT_FALSE(own.capture.enabled);
  EXPECT_TRUE(own.capture.payload);
  EXPECT_EQ(own.capture.max_seconds, 60u);
  EXPECT_EQ(own.capture.max_bytes, std::size_t{1} << 20);
  EXPECT_NE(only_problem(kGood + "[capture]\npayload = \"some\"\n").find("headers, full"), std::string::npos);
  EXPECT_NE(only_problem(kGood + "[capture]\nmax_seconds = 3601\n").find("1..3600"), std::string::npos);
  EXPECT_NE(only_problem(kGood + "[capture]\nmax_bytes = \"1KB\"\n").find("capture.max_bytes"), std::string::npos);
}

TEST(Config, DefaultsAndTheRoute) {
  const Config c = good(kGood);
  ASSERT_EQ(c.sip.udp.size(), 1u);
  EXPECT_EQ(c.sip.udp[0].text(), "192.0.2.1:5060");
  EXPECT_EQ(c.calls->routes[0].local, c.sip.udp[0]);
  EXPECT_EQ(c.pike.requests, 30u);
  EXPECT_EQ(c.pike.window, std::chrono::seconds{10});
  ASSERT_EQ(c.calls->routes.size(), 1u);
  EXPECT_EQ(c.calls->routes[0].next_hop.text(), "192.0.2.7:5060");
  EXPECT_EQ(c.calls->routes[0].caller.codecs, (std::vector<api::Codec>{api::Codec::Pcma, api::Codec::Pcmu}));
  EXPECT_EQ(c.calls->timers.clear, std::chrono::seconds{40});
}

TEST(Config, ExamplesLoad) {
  for (const char* name : {"minimal.toml", "gateway.toml"}) {
    std::ifstream in(std::string{IFGW_SOURCE_ROOT} + "/tools/config/" + name);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    ASSERT_FALSE(text.empty()) << name;
    (void)good(text);
  }
}

TEST(Config, TheFullExampleShowsTheDefaults) {
  std::ifstream in(std::string{IFGW_SOURCE_ROOT} + "/tools/config/gateway.toml");
  const Config full = good({std::istreambuf_iterator<char>(in), {}});
  const Config plain = good(kGood);
  EXPECT_EQ(full.sip.t1, plain.sip.t1);
  EXPECT_EQ(full.sip.max_connections, plain.sip.max_connections);
  EXPECT_EQ(full.sip_limits.transactions, plain.sip_limits.transactions);
  EXPECT_EQ(full.sip_limits.legs, plain.sip_limits.legs);
  EXPECT_EQ(full.sip_limits.message_bytes, plain.sip_limits.message_bytes);
  EXPECT_EQ(full.calls->limits.calls, plain.calls->limits.calls);
  EXPECT_EQ(full.calls->limits.calls_per_second, plain.calls->limits.calls_per_second);
  EXPECT_EQ(full.calls->timers.answer, plain.calls->timers.answer);
  EXPECT_EQ(full.calls->timers.max_duration, plain.calls->timers.max_duration);
  EXPECT_EQ(full.calls->media.timeout, plain.calls->media.timeout);
  EXPECT_EQ(full.calls->media.opus.complexity, plain.calls->media.opus.complexity);
  EXPECT_EQ(full.calls->media.opus.bitrate_bps, plain.calls->media.opus.bitrate_bps);
  EXPECT_EQ(full.calls->media.opus.expected_loss_percent, plain.calls->media.opus.expected_loss_percent);
  EXPECT_EQ(full.calls->media.opus.fec, plain.calls->media.opus.fec);
  EXPECT_EQ(full.calls->media.opus.dtx, plain.calls->media.opus.dtx);
  EXPECT_EQ(full.calls->media.comfort_noise, plain.calls->media.comfort_noise);
  EXPECT_EQ(full.calls->media.speex.quality, plain.calls->media.speex.quality);
  EXPECT_EQ(full.calls->media.g729_annex_b, plain.calls->media.g729_annex_b);
  EXPECT_EQ(full.pike.block, plain.pike.block);
  EXPECT_EQ(full.admin_mode, plain.admin_mode);
}

TEST(Config, EncodersAreSet) {
  const Config c = good(std::string(kGood) +
                        "[media.opus]\ncomplexity = 10\nbitrate = 24000\nfec = false\nexpected_loss = 20\ndtx = true\n"
                        "[media.g729]\nannex_b = true\n[media.speex]\nquality = 3\n");
  const core::MediaSettings& media = c.calls->media;
  EXPECT_EQ(media.opus.complexity, 10);
  EXPECT_EQ(media.opus.bitrate_bps, 24'000U);
  EXPECT_FALSE(media.opus.fec);
  EXPECT_EQ(media.opus.expected_loss_percent, 20);
  EXPECT_TRUE(media.opus.dtx);
  EXPECT_TRUE(media.g729_annex_b);
  EXPECT_EQ(media.speex.quality, 3);
}

TEST(Config, WorkersAreSetApart) {
  EXPECT_EQ(good(kGood).heavy_workers, 0U);
  EXPECT_EQ(good(std::string(kGood) + "[media]\nheavy_workers = []\n").heavy_workers, 0U);
  EXPECT_EQ(good(std::string(kGood) + "[media]\nheavy_workers = [1, 31]\n").heavy_workers, 1U << 31 | 2U);
}

std::string in_sip(const std::string& lines) {
  std::string text = kGood;
  return text.insert(text.find("[[route]]"), lines);
}

TEST(Config, AdvertisesAnAddressOrAHostName) {
  const auto host = [](const std::string& text) { return good(in_sip("advertised = \"" + text + "\"\n")).sip.advertised; };
  EXPECT_EQ(host("198.51.100.7"), "198.51.100.7");
  const auto host6 = [](const std::string& text) {
    return good(in_sip("tcp = \"[2001:db8::7]:5060\"\nadvertised = \"" + text + "\"\n")).sip.advertised;
  };
  EXPECT_EQ(host6("2001:db8::1"), "[2001:db8::1]") << "a Via or Contact has a port behind it";
  EXPECT_EQ(host6("2001:DB8:0:0::1"), "[2001:db8::1]");
  for (const std::string name : {"gw", "gw1.example", "a.b-c.1.xn--p1ai", "sbc.Example.ORG"}) EXPECT_EQ(host(name), name);
}

TEST(Config, AdvertisesAnAddressForListenersOfItsFamily) {
  EXPECT_TRUE(stands_for("192.0.2.1", IpFamily::V4));
  EXPECT_FALSE(stands_for("192.0.2.1", IpFamily::V6));
  EXPECT_TRUE(stands_for("[2001:db8::1]", IpFamily::V6));
  EXPECT_FALSE(stands_for("[2001:db8::1]", IpFamily::V4));
  for (const IpFamily family : {IpFamily::V4, IpFamily::V6}) EXPECT_TRUE(stands_for("gw.example", family));
  EXPECT_EQ(only_problem(in_sip("advertised = \"2001:db8::1\"\n")),
            "x.toml:3:14: sip.advertised: value [2001:db8::1] is of another family of addresses than every listener: give one of theirs, "
            "or a host name");
  EXPECT_NE(only_problem(in_sip("advertised = \"198.51.100.7\"\ntcp = \"[::]:5060\"\n"))
                .find("sip.tcp: listens on every address of a family that sip.advertised (198.51.100.7) is not of: name the address"),
            std::string::npos);
}

TEST(Config, AdvertisesNothingElse) {
  const std::string long_label(64, 'a'),
      long_name = std::string(63, 'a') + "." + std::string(63, 'a') + "." + std::string(63, 'a') + "." + std::string(63, 'a');
  for (const std::string bad :
       {"foo bar",    "a;b=c",      "host.example:5070", "192.0.2.1:5060",   "[2001:db8::1]",     "2001:db8::1%eth0", "a_b.example",
        "-a.example", "a-.example", "a..example",        ".example",         "example.",          "host.e",           "x",
        "192.0.2",    "999.0.2.1",  "example.7up",       "sip:host.example", "user@host.example", "<host.example>",   "h\\u00f6st.example",
        "0.0.0.0",    "::",         long_label.c_str(),  long_name.c_str()}) {
    const std::string found = only_problem(in_sip("advertised = \"" + bad + "\"\n"));
    EXPECT_EQ(found.find("x.toml:3:14: sip.advertised: value \""), 0u) << bad << ": " << found;
    EXPECT_NE(found.find("like \"192.0.2.1\" or \"2001:db8::1\" (no brackets, no port), and no host name"), std::string::npos) << found;
  }
}

TEST(Config, WhatIsSaidTwiceIsRefused) {
  const std::string prefix = "[[pike.prefix]]\nprefix = \"10.0.0.0/8\"\nrequests = ";
  EXPECT_NE(only_problem(kGood + prefix + "9\n" + prefix + "10\n")
                .find("pike.prefix[2].prefix: value 10.0.0.0/8 has a [[pike.prefix]] already: remove one of them"),
            std::string::npos);
  const std::string address = "[[media.address]]\nlocal = \"10.0.0.1\"\nadvertised = \"192.0.2.";
  EXPECT_NE(only_problem(kGood + address + "1\"\n" + address + "2\"\n")
                .find("media.address[2].local: value 10.0.0.1 has a [[media.address]] already: remove one of them"),
            std::string::npos);
  EXPECT_EQ(good(kGood + prefix + "9\n[[pike.prefix]]\nprefix = \"10.0.0.0/16\"\nrequests = 9\n").pike.prefixes.size(), 3u);
}

std::string tls_route(const std::string& id, const std::string& more) {
  return "[[route]]\nid = \"" + id + "\"\ntarget = \"sip:{user}@192.0.2.7:5061\"\ntransport = \"tls\"\n" + more;
}

TEST(Config, OneTlsPeerHasOneName) {
  const std::string base = in_sip("tls = \"192.0.2.1:5061\"\ntls_certificate = \"c\"\ntls_key = \"k\"\n");
  const std::string one = "tls_name = \"one.example\"\n", two = "tls_name = \"two.example\"\n";
  const Config same = good(base + tls_route("t1", one) + tls_route("t2", one));
  ASSERT_EQ(same.sip.tls_names.size(), 1u);
  EXPECT_EQ(same.sip.tls_names[0].second, "one.example");
  EXPECT_NE(
      only_problem(base + tls_route("t1", one) + tls_route("t2", two))
          .find("route[3].tls_name: of 192.0.2.7:5061 is \"two.example\" here and \"one.example\" in route \"t1\": give both the same"),
      std::string::npos);
  EXPECT_NE(only_problem(base + tls_route("t1", one) + tls_route("t2", "")).find("is its address here and \"one.example\" in route \"t1\""),
            std::string::npos)
      << "it would be held against the name of the other";
  (void)good(base + tls_route("t1", one) + tls_route("t2", two + "next_hop = \"192.0.2.8:5061\"\n"));
}

TEST(Config, ARouteDoesNotLeadToOneOfOurListeners) {
  const std::string base = in_sip("tcp = \"192.0.2.1:5062\"\n");
  const auto route = [](const std::string& target, const std::string& more = {}) {
    return "[[route]]\nid = \"b\"\ntarget = \"sip:x@" + target + "\"\n" + more;
  };
  const std::string tcp = "transport = \"tcp\"\n";
  EXPECT_NE(only_problem(base + route("192.0.2.1"))
                .find("route[2].target: leads to 192.0.2.1:5060, where this gateway itself listens (sip.udp 192.0.2.1:5060)"),
            std::string::npos);
  EXPECT_NE(only_problem(base + route("192.0.2.1:5062", tcp)).find("(sip.tcp 192.0.2.1:5062)"), std::string::npos);
  EXPECT_NE(only_problem(base + route("host.example", "next_hop = \"192.0.2.1:5060\"\n")).find("route[2].next_hop: leads to"),
            std::string::npos);
  (void)good(base + route("192.0.2.1:5062"));       // nobody of ours takes UDP there
  (void)good(base + route("192.0.2.1:5060", tcp));  // nor TCP here
  const auto any = [](std::string text) {
    text.replace(text.find("192.0.2.1"), 9, "0.0.0.0");
    return text.insert(text.find("[[route]]"), "advertised = \"192.0.2.1\"\n");
  };
  EXPECT_NE(only_problem(any(kGood) + route("127.0.0.1")).find("(sip.udp 0.0.0.0:5060)"), std::string::npos);
  (void)good(any(kGood) + route("127.0.0.1:5070"));
}

struct BadCase {
  const char* text;
  const char* says;
};

TEST(Config, EachMistakeNamesFileLineColumnKeyAndWhatWouldBeRight) {
  const std::vector<BadCase> cases = {
      {"[pike]\nreqests = 3\n", "x.toml:9:1: pike.reqests: unknown key, did you mean \"requests\"?"},
      {"[zzzzzzzz]\n", "x.toml:8:2: zzzzzzzz: unknown key"},
      {"[pike]\nrequests = 0\n", "x.toml:9:12: pike.requests: value 0 is not in 1..255 requests"},
      {"[pike]\nrequests = 256\n", "x.toml:9:12: pike.requests: value 256 is not in 1..255 requests"},
      {"[pike]\nroute_requests = 100001\n", "pike.route_requests: value 100001 is not in 1..100000 requests"},
      {"[[pike.prefix]]\nprefix = \"10.0.0.0/8\"\nrequests = 1000000\n",
       "pike.prefix[1].requests: value 1000000 is not in 1..100000 requests"},
      {"[pike]\nrequests = \"many\"\n", "pike.requests: is a text, must be a number in 1..255 requests"},
      {"[pike]\nwindow = 10\n", "pike.window: is a number, must be a text like \"10s\""},
      {"[pike]\nwindow = \"10\"\n", "pike.window: value \"10\" is no duration: a whole number with ms, s, m or h, like \"10s\""},
      {"[pike]\nwindow = \"1h\"\n", "pike.window: value 1h is not in 100ms..10m"},
      {"[pike]\nwindow = 1.5\n", "pike.window: is a number with a point"},
      {"[limits]\nsip_message = \"16kb\"\n",
       "limits.sip_message: value \"16kb\" is no size: a whole number with B, KB or MB, like \"16KB\""},
      {"[limits]\nsip_message = \"1MB\"\n", "limits.sip_message: value 1MB is not in 4096..65536 B"},
      {"[limits]\ncalls = 100\nsip_legs = 150\n", "limits.sip_legs: value 150 is below two per call"},
      {"[media]\ntimeout = \"10ms\"\n", "media.timeout: value 10ms is not 0s or in 1s..24h"},
      {"[media.opus]\ncomplexity = 11\n", "x.toml:9:14: media.opus.complexity: value 11 is not in 0..10"},
      {"[media.opus]\nbitrate = 500\n", "media.opus.bitrate: value 500 is not 0 or in 6000..128000 bit/s"},
      {"[media.opus]\nbitrate = 200000\n", "media.opus.bitrate: value 200000 is not in 0..128000 bit/s"},
      {"[media.opus]\nexpected_loss = 101\n", "media.opus.expected_loss: value 101 is not in 0..100 %"},
      {"[media.opus]\nfec = 1\n", "media.opus.fec: is a number, must be true or false"},
      {"[media.opus]\ncbr = true\n", "media.opus.cbr: unknown key"},
      {"[media.speex]\nquality = 11\n", "media.speex.quality: value 11 is not in 0..10"},
      {"[media.g729]\nannex_b = \"no\"\n", "media.g729.annex_b: is a text, must be true or false"},
      {"[media]\nheavy_workers = 1\n", "x.toml:9:17: media.heavy_workers: must be a list of at most 31 numbers"},
      {"[media]\nheavy_workers = [1, 32]\n", "x.toml:9:21: media.heavy_workers: must hold numbers in 0..31"},
      {"[media]\nheavy_workers = [1, 1]\n", "x.toml:9:17: media.heavy_workers: names worker 1 twice"},
      {"[media]\nlatching = 1\n", "media.latching: is a number, must be true or false"},
      {"[[pike.exempt]]\nprefix = \"10.0.0.1/8\"\n", "pike.exempt[1].prefix: value \"10.0.0.1/8\" is no prefix"},
      {"[[pike.prefix]]\nprefix = \"10.0.0.0/8\"\n", "pike.prefix[1].requests: is missing"},
      {"[admin]\nmode = \"0666\"\n", "admin.mode: value \"0666\" is no octal mode"},
      {"[admin]\nsocket = \"/run/ifgw/dataplane.sock\"\n", "admin.socket: is also dataplane.socket"},
      {"[log]\nlevel = \"loud\"\n", "log.level: value \"loud\" is none of debug, info, warning, error"},
      {"[[route]]\nid = \"a\"\ntarget = \"sip:x@192.0.2.7\"\n", "route[2].id: \"a\" is the id of another route"},
      {"[[route]]\nid = \"b\"\ntarget = \"sip:x@host.example\"\n", "route[2].target: names a host: set next_hop"},
      {"[[route]]\nid = \"b\"\ntarget = \"sips:x@192.0.2.7\"\n",
       "route[2].target: is a sips: URI, which wants TLS on every hop: set transport = \"tls\", or make it sip:"},
      {"[[route]]\nid = \"b\"\ntarget = \"http://x\"\n", "route[2].target: value \"http://x\" is no SIP URI"},
      {"[[route]]\nid = \"b\"\ntarget = \"sip:x@192.0.2.7\"\ntransport = \"tcp\"\n",
       "route[2].transport: \"tcp\" has no listener: set sip.tcp"},
      {"[[route]]\nid = \"b\"\ntarget = \"sip:x@192.0.2.7\"\ncaller_codecs = [\"speex\"]\n",
       "route[2].caller_codecs: value \"speex\" is none of PCMU, PCMA, G722, G729, opus, speex/8000, speex/16000, GSM, G726-16,"},
      {"[[route]]\nid = \"b\"\ntarget = \"sip:x@192.0.2.7\"\nuser = \"a*b\"\n", "route[2].user: may hold '*' only as its last character"},
      {"[call\n", "x.toml:8:"},
      {"[call] # \xC7\xBE is fine here\nanswer_timeout = \"\xC7\xBE\"\n", "x.toml:9:19: only ASCII characters may stand outside comments"},
      {"[#call]\n", "x.toml:8:2: Error while parsing key"},
  };
  for (const BadCase& c : cases) {
    const std::string found = only_problem(kGood + c.text);
    EXPECT_NE(found.find(c.says), std::string::npos) << "wanted: " << c.says << "\nfound:  " << found;
  }
}

TEST(Config, TwoListenersOnOnePortNameBoth) {
  const std::string sip = "tcp = \"192.0.2.1:5061\"\ntls = \"192.0.2.1:5061\"\ntls_certificate = \"c\"\ntls_key = \"k\"\n";
  std::string text = kGood;
  text.insert(text.find("[[route]]"), sip);
  EXPECT_EQ(only_problem(text),
            "x.toml:4:7: sip.tls: uses the TCP port 192.0.2.1:5061 that sip.tcp uses already (192.0.2.1:5061): give them different ports");
  // UDP and TCP share a number without harm.
  text = kGood;
  text.insert(text.find("[[route]]"), "tcp = \"192.0.2.1:5060\"\n");
  (void)good(text);
  // Any address covers the others.
  text = kGood;
  text.insert(text.find("[[route]]"),
              "advertised = \"192.0.2.1\"\ntcp = \"0.0.0.0:5061\"\ntls = \"192.0.2.1:5061\"\ntls_certificate = \"c\"\ntls_key = \"k\"\n");
  EXPECT_NE(only_problem(text).find("that sip.tcp uses already"), std::string::npos);
}

TEST(Config, ARouteBetweenSeveralListenersMustSayWhichOneItUses) {
  std::string text = kGood;
  text.replace(text.find("\"192.0.2.1:5060\""), 16, "[\"192.0.2.1:5060\", \"10.0.0.1:5060\", \"[2001:db8::1]:5060\"]");
  EXPECT_NE(only_problem(text).find("route[1]: could go out from several listeners: set local to one of sip.udp"), std::string::npos);
  const std::string chosen = "local = \"10.0.0.1:5060\"\n";
  text.insert(text.find("[witness]"), chosen);
  EXPECT_EQ(good(text).calls->routes[0].local.text(), "10.0.0.1:5060");
  text.replace(text.find(chosen), chosen.size(), "local = \"10.0.0.2:5060\"\n");
  EXPECT_NE(only_problem(text).find("route[1].local: value 10.0.0.2:5060 is none of sip.udp"), std::string::npos);
}

TEST(Config, AllProblemsAreReportedAtOnceInTheOrderOfTheFile) {
  const auto found = problems("[sip]\nt1 = \"0ms\"\n[pike]\nrequests = -1\nwindow = \"x\"\n");
  ASSERT_EQ(found.size(), 6u);
  EXPECT_NE(found[0].find("x.toml:1:1: sip: needs at least one of udp, tcp, tls"), std::string::npos);
  EXPECT_NE(found[1].find("route: is missing"), std::string::npos);
  EXPECT_NE(found[2].find("witness: is missing"), std::string::npos);
  EXPECT_NE(found[3].find("sip.t1"), std::string::npos);
  EXPECT_NE(found[4].find("pike.requests"), std::string::npos);
  EXPECT_NE(found[5].find("pike.window"), std::string::npos);
}

TEST(Config, ListeningOnEveryAddressNeedsAnAdvertisedOne) {
  std::string text = kGood;
  text.replace(text.find("192.0.2.1"), 9, "0.0.0.0");
  EXPECT_NE(only_problem(text).find("set sip.advertised"), std::string::npos);
}

TEST(Config, ProblemsAreBoundedAndHostileTextIsNotEchoed) {
  std::string text = kGood;
  for (int i = 0; i < 500; ++i) text += "[\"\\u0007key" + std::to_string(i) + "\"]\n";
  const auto found = problems(text);
  EXPECT_EQ(found.size(), kMaxProblems);
  for (const std::string& line : found) EXPECT_EQ(line.find('\a'), std::string::npos);
}

TEST(Units, DurationsAndSizes) {
  EXPECT_EQ(parse_duration("500ms"), std::chrono::milliseconds{500});
  EXPECT_EQ(parse_duration("2h"), std::chrono::hours{2});
  EXPECT_EQ(parse_duration("0s"), Duration::zero());
  for (const char* bad : {"", "10", "s", "-1s", "1.5s", "10 s", "99999999999999999999s", "9223372036854775807h"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
  EXPECT_EQ(parse_bytes("16KB"), 16384u);
  EXPECT_EQ(parse_bytes("3B"), 3u);
  for (const char* bad : {"", "16", "16kb", "18446744073709551615MB"}) EXPECT_FALSE(parse_bytes(bad)) << bad;
  EXPECT_EQ(duration_text(std::chrono::milliseconds{1500}), "1500ms");
  EXPECT_EQ(duration_text(std::chrono::seconds{120}), "2m");
}

TEST(Units, NearestNameIsASlipAtMost) {
  const std::vector<std::string_view> names{"requests", "window", "block"};
  EXPECT_EQ(nearest("windwo", names), "window");
  EXPECT_EQ(nearest("blok", names), "block");
  EXPECT_FALSE(nearest("latching", names));
}

}  // namespace
}  // namespace ifgw::config
