// The control plane's end of the plane contract: maps what a dataplane hands over (dataplane_attach.h asks for it) and
// gives access to the rings and counters. Mechanism only; what the messages mean is dataplane_client.h.
//
// One thread. Everything that comes out of the shared memory is checked before it is believed: a dataplane of another
// build, or a broken one, yields an Error or a dropped message, never undefined behaviour.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codecs/base/result.h"
#include "controlplane/adapters/unique_fd.h"
#include "dataplane/api/region.h"

namespace ifgw::adapters {

class DataplaneLink {
 public:
  // Maps what a dataplane handed over with its welcome (DataplaneAttach has asked for it). Takes the descriptors: keeps
  // the doorbells, closes the rest. An Error: `fds` are not what `welcome` promises.
  static Result<std::unique_ptr<DataplaneLink>> map(UniqueFd connection, const api::AttachReply& welcome, std::vector<UniqueFd> fds);
  ~DataplaneLink();
  DataplaneLink(const DataplaneLink&) = delete;
  DataplaneLink& operator=(const DataplaneLink&) = delete;

  const api::AttachReply& welcome() const noexcept { return welcome_; }

  // Readable when the dataplane is gone.
  int connection_fd() const noexcept { return connection_; }
  // Readable when a worker published something while we said that we sleep. Cleared by disarm().
  int doorbell_fd() const noexcept { return doorbell_; }

  // False when worker `w`'s command ring is full: the caller refuses what it wanted to do and counts it.
  [[nodiscard]] bool send(std::uint32_t worker, const api::Command& command) noexcept;
  // False when the ring is full or the payload is empty or larger than kMaxDatagramPayload.
  [[nodiscard]] bool send_datagram(std::uint32_t worker, const api::DatagramHeader& header, std::span<const std::uint8_t> payload) noexcept;

  // Up to out.size() valid messages of worker `w`, oldest first; 0: there are no more. One that is left out is missing in
  // the sequence, as if it had been lost.
  std::size_t receive(std::uint32_t worker, std::span<api::Event> out) noexcept;
  // One datagram whose length is in range, or nothing. The reference is good until the next call.
  const api::Datagram* receive_datagram(std::uint32_t worker) noexcept;

  // One captured packet whose header is in range, or nothing. The reference is good until the next call.
  const api::Captured* receive_captured(std::uint32_t worker) noexcept;

  // Say that we are about to sleep; false when something has come in meanwhile, so do not.
  bool arm() noexcept;
  // Awake again: no doorbells needed.
  void disarm() noexcept;

  // A worker's ring held an impossible index: give this link up and attach anew.
  bool corrupt() const noexcept;

  const api::ProcessBlock& process() const noexcept;
  const api::PortBlock& port(std::size_t i) const noexcept;  // i < 2 * kMaxPorts
  const api::WorkerBlock& worker(std::uint32_t w) const noexcept;
  std::span<const api::LegRow> legs(std::uint32_t w) const noexcept;
  const api::LegRow* leg(api::LegId id) const noexcept;  // nullptr when the id names no row

  // The leg of `row`, which is the row its id names; nothing when there is none, or when its values are impossible.
  std::optional<api::LegInfo> read(const api::LegRow& row) noexcept;

  // Messages and leg rows that were left out because no dataplane writes such values.
  std::uint64_t invalid_messages() const noexcept { return invalid_messages_; }

 private:
  struct Worker {
    api::RingProducer<api::Command> commands;
    api::RingConsumer<api::Event> events;
    api::RingConsumer<api::Datagram> datagrams_up;
    api::RingProducer<api::Datagram> datagrams_down;
    api::RingConsumer<api::Captured> captured;
    api::SleepFlags* flags = nullptr;
    int doorbell = -1;
  };
  DataplaneLink() = default;
  Status map(std::vector<UniqueFd>& fds);
  void wake(const Worker& worker) noexcept;

  api::AttachReply welcome_;
  int connection_ = -1;
  int doorbell_ = -1;
  std::uint8_t* rings_ = nullptr;
  std::size_t rings_bytes_ = 0;
  const std::uint8_t* counters_ = nullptr;
  std::size_t counters_bytes_ = 0;
  std::vector<Worker> workers_;
  std::unique_ptr<api::Datagram> datagram_in_;
  std::unique_ptr<api::Datagram> datagram_out_;
  std::unique_ptr<api::Captured> captured_;
  std::uint64_t invalid_messages_ = 0;
};

}  // namespace ifgw::adapters
