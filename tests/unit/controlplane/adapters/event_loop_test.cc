#include "controlplane/adapters/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>

namespace ifgw::adapters {
namespace {

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    in = UniqueFd{fds[0]};
    out = UniqueFd{fds[1]};
  }
  void poke() const { EXPECT_EQ(write(out.get(), "x", 1), 1); }
  void drain() const {
    char c;
    EXPECT_EQ(read(in.get(), &c, 1), 1);
  }
  UniqueFd in, out;
};

struct OneDeadline : DeadlineSource {
  Instant next_deadline() const override { return at; }
  void on_deadline(Instant now) override {
    fired_at = now;
    at = kNever;
  }
  Instant at = kNever;
  Instant fired_at{};
};

class EventLoopTest : public ::testing::Test {
 protected:
  EventLoopTest() : loop(std::move(EventLoop::create()).value()) {}
  void round() { ASSERT_TRUE(loop->run_once(Duration::zero()).ok()); }
  std::unique_ptr<EventLoop> loop;
};

TEST_F(EventLoopTest, CallsTheHandlerOfAReadyDescriptor) {
  Pipe pipe;
  int calls = 0;
  ASSERT_TRUE(loop->add_fd(pipe.in.get(), EPOLLIN,
                           [&](std::uint32_t events, Instant) {
                             EXPECT_TRUE(events & EPOLLIN);
                             pipe.drain();
                             ++calls;
                           })
                  .ok());
  round();
  EXPECT_EQ(calls, 0);
  pipe.poke();
  round();
  round();
  EXPECT_EQ(calls, 1);
  loop->remove_fd(pipe.in.get());
}

TEST_F(EventLoopTest, HandlerMayRemoveItselfAndItsNeighbour) {
  Pipe first, second;
  int calls = 0;
  const auto handler = [&](std::uint32_t, Instant) {
    ++calls;
    loop->remove_fd(first.in.get());
    loop->remove_fd(second.in.get());
  };
  ASSERT_TRUE(loop->add_fd(first.in.get(), EPOLLIN, handler).ok());
  ASSERT_TRUE(loop->add_fd(second.in.get(), EPOLLIN, handler).ok());
  first.poke();
  second.poke();
  round();
  round();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, DeadlineIsNeverEarly) {
  OneDeadline source;
  loop->add_source(source);
  source.at = read_clock() + std::chrono::microseconds{300};
  const Instant wanted = source.at;
  while (source.fired_at == Instant{}) ASSERT_TRUE(loop->run_once(std::chrono::seconds{1}).ok());
  EXPECT_GE(source.fired_at, wanted);
  loop->remove_source(source);
}

TEST_F(EventLoopTest, RemovedSourceIsNotAsked) {
  OneDeadline source;
  loop->add_source(source);
  loop->remove_source(source);
  source.at = Instant{};
  round();
  EXPECT_EQ(source.fired_at, Instant{});
}

TEST_F(EventLoopTest, DeferredCallsRunInOrderAndOneDeferredMeanwhileWaitsForTheNextRound) {
  std::string order;
  loop->defer([&](Instant) {
    order += 'a';
    loop->defer([&](Instant) { order += 'c'; });
  });
  loop->defer([&](Instant) { order += 'b'; });
  round();
  EXPECT_EQ(order, "ab");
  round();
  EXPECT_EQ(order, "abc");
}

TEST_F(EventLoopTest, EndOfRoundHookRunsAfterDeferredCalls) {
  std::string order;
  loop->at_end_of_round([&](Instant) { order += 'e'; });
  loop->defer([&](Instant) { order += 'd'; });
  round();
  EXPECT_EQ(order, "de");
}

TEST_F(EventLoopTest, SignalArrivesInTheLoopAndStopEndsIt) {
  int got = 0;
  ASSERT_TRUE(loop->handle_signals({SIGUSR1},
                                   [&](int signal, Instant) {
                                     got = signal;
                                     loop->stop();
                                   })
                  .ok());
  ASSERT_EQ(raise(SIGUSR1), 0);
  ASSERT_TRUE(loop->run().ok());
  EXPECT_EQ(got, SIGUSR1);
}

TEST_F(EventLoopTest, BadDescriptorIsAnErrorNotACrash) {
  EXPECT_FALSE(loop->add_fd(-1, EPOLLIN, [](std::uint32_t, Instant) {}).ok());
  EXPECT_FALSE(loop->modify_fd(77, EPOLLIN).ok());
  loop->remove_fd(77);
}

}  // namespace
}  // namespace ifgw::adapters
