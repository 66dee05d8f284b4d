// The calls of the gateway: registry and machine. Sans-IO: leg events, media events, decisions and time in; leg
// commands, media requests, audit records and a deadline out.
//
// Driving it (one thread; nothing may call back into Calls except Guard's decision from inside decide()):
//   calls.on_leg(event, now); calls.on_media(event, now); calls.on_decision(...); calls.on_timer(now);
//   for (LegCommand& c : calls.take_commands()) stack.on_command(c, now);
//   sleep until calls.next_deadline()
//
// Every step is a witness record before its command leaves. A record that cannot be kept refuses a call that is not
// answered yet (503); an answered call goes on, and the loss is counted.
// Bounds: CallLimits::calls calls; each holds two signalling legs, two media legs, one timer. Ended calls are kept for
// operators in a ring of kEndedCalls.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "codecs/base/hash.h"
#include "controlplane/core/call.h"
#include "controlplane/core/ports/dataplane_view.h"
#include "controlplane/core/ports/guard.h"
#include "controlplane/core/ports/media.h"
#include "controlplane/core/ports/witness.h"
#include "dataplane/api/counters.h"

namespace ifgw::core {

inline constexpr std::size_t kEndedCalls = 256;
inline constexpr std::size_t kMaxAdoptedLegs = 1u << 20;

struct CallPorts {
  Guard& guard;
  Media& media;
  Witness& witness;
  std::function<LegKey()> next_leg;     // unique in the process, shared with the protocol stacks
  const DataplaneView* view = nullptr;  // for the counters in the TERMINATED record; may be absent
};

// Monotonic since start. X(name, description): one list for fields, CLI and metrics.
#define IFGW_CALL_STATISTICS(X)                                                    \
  X(offered, "calls offered to the gateway")                                       \
  X(connected, "calls answered and bridged")                                       \
  X(refused_admission, "calls refused by call count, call rate or an X-IF header") \
  X(refused_route, "calls refused because no route matched")                       \
  X(refused_policy, "calls refused by the guard")                                  \
  X(refused_negotiation, "calls refused or ended over a session description")      \
  X(refused_media, "calls refused or ended for want of media")                     \
  X(refused_witness, "calls refused because a record could not be kept")           \
  X(failed_callee, "calls the called party refused or could not be reached for")   \
  X(ended_by_party, "calls ended by one of the parties")                           \
  X(ended_by_timer, "calls ended by a timer of the gateway")                       \
  X(ended_by_silence, "calls ended because media stopped")                         \
  X(ended_by_operator, "calls ended by an operator or by the gateway's stop")      \
  X(renegotiations, "re-negotiations answered")                                    \
  X(renegotiations_refused, "re-negotiations refused")                             \
  X(offers_refused, "offers of ours inside a call that a party refused")           \
  X(records_lost, "audit records that could not be kept")                          \
  X(unexpected_events, "events that do not fit the state of their call")           \
  X(forced_clear, "calls forgotten because their legs did not end in time")        \
  X(adopted, "media legs taken over from an earlier control plane")                \
  X(adopted_removed, "of these: removed after their media timeout")                \
  X(orphans_removed, "media legs without a call that were removed")

struct CallStatistics {
#define IFGW_CALL_FIELD(name, description) std::uint64_t name = 0;
  IFGW_CALL_STATISTICS(IFGW_CALL_FIELD)
#undef IFGW_CALL_FIELD
};

// What stays of a call that is over.
struct EndedCall {
  std::uint64_t id = 0;
  std::string trace_id;
  std::string from;
  std::string target;
  std::string route;
  Instant ended_at{};
  Duration setup{};     // INVITE to answer; zero: never answered
  Duration duration{};  // answer to end
  std::string end_text;
  std::optional<Refusal> refusal;
};

class Calls {
 public:
  Calls(std::shared_ptr<const CallSettings> settings, CallPorts ports, const HashKey& key);
  ~Calls();
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  void on_leg(const LegEvent& event, Instant now);
  void on_media(const MediaEvent& event, Instant now);
  // The guard's answer; may come from inside Guard::decide.
  void on_decision(std::uint64_t call, const Decision& decision, Instant now);
  void on_timer(Instant now);
  Instant next_deadline() const noexcept;

  // For calls offered from now on.
  void set_settings(std::shared_ptr<const CallSettings> settings) { settings_ = std::move(settings); }
  // False: no such call. `who` names the operator in the record.
  bool kill(std::uint64_t call, const std::string& who, Instant now);
  // Refuse new calls with 503 and end the others.
  void stop(Instant now);

  // What the protocol stacks shall do, in order; the queue is empty afterwards.
  std::vector<LegCommand> take_commands();

  // ---- for operators -----------------------------------------------------------------------------------------
  const CallStatistics& statistics() const noexcept { return statistics_; }
  const api::LatencyHistogram& setup_times() const noexcept { return *setup_times_; }  // INVITE to answer
  std::size_t size() const noexcept { return calls_.size(); }
  std::size_t timers() const noexcept { return deadlines_.size(); }
  const Call* find(std::uint64_t call) const noexcept;
  // Up to `limit` calls, oldest first.
  std::vector<const Call*> list(std::size_t limit) const;
  const std::deque<EndedCall>& ended() const noexcept { return ended_; }
  // The call a media leg belongs to, with its side; nullptr: none.
  const Call* call_of(api::LegId media, Party* party) const noexcept;
  bool is_adopted(api::LegId media) const noexcept { return adopted_.contains(media.value); }
  std::size_t adopted_legs() const noexcept { return adopted_.size(); }

 private:
  // Bridge: update or join that the answer waits for. Renegotiate: update that a re-negotiation's answer waits for.
  // Refresh: update nobody waits for.
  enum class RequestKind : std::uint8_t { Add, Bridge, Renegotiate, Refresh, Remove, Adopt, Move };
  struct Request {
    std::uint64_t call = 0;
    Party party = Party::Caller;
    RequestKind kind = RequestKind::Add;
    api::LegId leg;
  };
  using Details = std::vector<std::pair<std::string_view, std::string>>;  // of an audit record
  struct LegRef {
    std::uint64_t call = 0;
    Party party = Party::Caller;
  };
  struct AdoptedLeg {
    api::LegInfo info;
    Instant silent_at = kNever;  // its timeout was reported then
  };
  // What an event carries beside its kind. One at a time; the strings belong to the caller.
  struct Input {
    Party party = Party::Caller;
    const std::string* sdp = nullptr;
    int status = 0;
    std::optional<Duration> retry_after = {};
    EndCause cause = EndCause::Bye;
    const std::string* text = nullptr;
    const LegOffered* offered = nullptr;
  };
  struct Posted {
    std::uint64_t call = 0;
    CallEvent event{};
    Input input;
  };

  // calls.cc: inputs, the queue of events, timers
  void on(const LegOffered& e, Instant now);
  void on(const LegProgressed& e, Instant now);
  void on(const LegAnswered& e, Instant now);
  void on(const LegUpdated& e, Instant now);
  void on(const LegEnded& e, Instant now);
  Call* by_id(std::uint64_t call) noexcept;
  Call* by_leg(LegKey leg, Party& party) noexcept;
  void post(Call& call, CallEvent event);
  void post(Call& call, CallEvent event, const Input& input);
  void run(Instant now);
  void step(Call& call, CallEvent event, const Input& input, Instant now);
  void enter(Call& call, CallState state, Instant now);
  void act(Call& call, CallAction action, const Input& input, Instant now);
  void expire(Call& call, Instant now);
  void reschedule(Call& call);
  void erase(Call& call);
  void open_leg(Call& call, Party party, LegKey leg);

  // calls_setup.cc: from the offer to the answer
  std::optional<Refusal> admit(Instant now);
  void refuse_offer(const LegOffered& e, const Refusal& refusal, Instant now);
  void ask_guard(Call& call, const LegOffered& e, Instant now);
  std::optional<Refusal> pass_headers(const LegOffered& e, Call& call) const;
  void allocate_media(Call& call, Instant now);
  std::optional<std::uint8_t> local_address(const Call& call, Party party) const;
  void offer_callee(Call& call, Instant now);
  void ring(Call& call, const Input& input, Instant now);
  void bridge(Call& call, const Input& input, Instant now);
  std::optional<Refusal> take_callee_answer(Call& call, const std::string& sdp);
  void send_bridge_requests(Call& call, Instant now);
  void answer_caller(Call& call, Instant now);
  void refuse_later(Call& call, Refusal refusal);
  static Refusal witness_refusal();
  static Refusal of_answer(Refusal refusal, Party author);
  static Refusal no_headroom(const Call& call, std::uint8_t worker);

  // calls_renegotiation.cc: what happens inside an answered call
  void renegotiate(Call& call, const Input& input, Instant now);
  void refuse_update(Call& call, Party party, const Refusal& refusal, Instant now);
  void finish_renegotiation(Call& call, Party party, Instant now);
  void take_answer(Call& call, const Input& input, Instant now);
  void take_refusal(Call& call, const Input& input, bool narrowing, Instant now);
  void offer_again(Call& call, Party party, Instant now);
  void apply_wishes(Call& call, Party changed, Instant now);
  void keep_to_one_codec(Call& call, Party party);
  void note_hold(Call& call, Instant now);
  Direction our_direction(const Call& call, Party party) const noexcept;
  api::MediaParams media_params(const Call& call, Party party) const;
  api::EncoderParams encoder_params(const Call& call, Party party) const;
  FormatParameters asked_of(const Call& call, Party party) const;
  bool wants_noise(const Call& call, Party party) const;
  void settle_asked(Call& call, Party party) const;
  std::vector<api::Codec> codecs(const Call& call, Party party) const;
  MediaPath media_path(const Call& call, Party party) const;
  std::string description(Call& call, Party party, bool full_offer);

  // calls_media.cc: media legs
  void on(const MediaDone& e, Instant now);
  void on(const MediaFirstPacket& e, Instant now);
  void on(const MediaTimedOut& e, Instant now);
  void on(const MediaAddressChanged& e, Instant now);
  void on(const MediaUnreachable& e, Instant now);
  void on(const MediaAttached& e, Instant now);
  void on(const MediaDetached& e, Instant now);
  void on(const MediaResync& e, Instant now);
  MediaRequestId open_request(const Request& request);
  void request_add(Call& call, Party party, std::uint8_t local_address);
  bool request_update(Call& call, Party party, RequestKind kind, Instant now);
  void request_remove(const Request& request);
  void remove_side(Call& call, Party party);
  void done_add(Call* call, const Request& request, const MediaDone& e);
  void done_update(Call& call, const Request& request, const MediaDone& e, Instant now);
  void done_remove(Call* call, const Request& request, const MediaDone& e, Instant now);
  static bool is_passing(MediaStatus status) noexcept;
  void refuse_negotiated(Call& call, Party party, MediaStatus status, Instant now);
  void media_failed(Call& call, Party party, std::string_view what, MediaStatus status);
  void forget_media(Call& call, Party party);
  api::CallTag tag(std::uint64_t call, Party party) const noexcept;
  void check_clear(Call& call);
  void retry_later(const Request& request, Instant now);

  // calls_move.cc: media legs that go to another worker
  bool must_move(const Call& call) const;
  bool waits_for_move(Call& call, Instant now);
  void begin_move(Call& call, Instant now);
  void done_move(Call* call, const MediaDone& e, Instant now);
  void take_moved(Call& call, const MediaDone& e, Instant now);
  void resume(Call& call, Instant now);
  void fail_move(Call& call, MediaStatus status, std::uint8_t worker, Instant now);

  // calls_adopted.cc: media legs of an earlier control plane
  bool is_own(const api::LegInfo& leg) const noexcept;
  void adopt(const api::LegInfo& leg, Instant now);
  void request_timeout(const api::LegInfo& leg);
  void note_silence(api::LegId leg, Instant now);
  bool silent(const AdoptedLeg& leg) const;
  void remove_silent_pair(api::LegId leg, Instant now);
  void forget_adopted(api::LegId leg, std::string_view why, Instant now);
  void record_adopted(const api::LegInfo& leg, std::string_view event, Details details, Instant now);

  // calls_end.cc: every way a call ends, and the records
  void refuse(Call& call, Instant now);
  void end_by_party(Call& call, Party party, const Input& input, Instant now);
  void fail(Call& call, Instant now);
  void end_timed_out(Call& call, Instant now);
  void end_with(Call& call, Refusal refusal, Instant now);
  void clear_legs(Call& call, const Refusal& refusal);
  void force_clear(Call& call, Instant now);
  void finish(Call& call, Instant now);
  bool record(const Call& call, std::string_view event, Severity severity, LegKey leg, Details details, Instant now);
  bool record_termination(Call& call, Details details, Instant now);
  void count_refusal(const Refusal& refusal);
  static void add_refusal(Details& details, const Refusal& refusal);

  std::shared_ptr<const CallSettings> settings_;
  CallPorts ports_;
  HashKey key_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Call>> calls_;
  std::unordered_map<std::uint64_t, LegRef> legs_;   // LegKey -> call
  std::unordered_map<std::uint64_t, LegRef> media_;  // LegId -> call
  std::unordered_map<MediaRequestId, Request> requests_;
  std::unordered_map<std::uint64_t, AdoptedLeg> adopted_;  // LegId
  std::set<std::pair<Instant, std::uint64_t>> deadlines_;
  std::vector<Request> retries_;  // found the command ring full
  Instant retry_at_ = kNever;
  std::deque<Posted> posted_;
  std::vector<LegCommand> commands_;
  std::deque<EndedCall> ended_;
  CallStatistics statistics_;
  std::unique_ptr<api::LatencyHistogram> setup_times_;
  std::uint64_t next_call_ = 1;
  MediaRequestId next_request_ = 1;
  Instant rate_clock_{};  // virtual time of the call-rate limit (GCRA)
  bool stopping_ = false;
  bool running_ = false;
};

}  // namespace ifgw::core
