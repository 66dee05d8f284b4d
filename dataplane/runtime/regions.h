// The shared memory behind the plane contract, dataplane side: the counter region (one for the life of the process)
// and a ring region per attach. See dataplane/api/region.h for the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codecs/base/result.h"
#include "dataplane/api/region.h"
#include "dataplane/runtime/doorbell.h"
#include "dataplane/runtime/fd.h"

namespace ifgw::runtime {

// A memfd and its writable mapping here.
class SharedMemory {
 public:
  // `name` shows in /proc/PID/maps. Zeroed, resident, excluded from core dumps, sealed against resizing; with
  // `seal_writes` no other process can map it writable (ours was made before the seal). `bytes`: whole pages of
  // `page_bytes`, which is api::kPage or api::kHugePage (then it fails when too few 2 MB pages are free).
  static Result<SharedMemory> create(const char* name, std::size_t bytes, bool seal_writes, std::size_t page_bytes = api::kPage);

  SharedMemory() = default;
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  int fd() const noexcept { return fd_.get(); }

 private:
  Fd fd_;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

// Counters and leg rows that clients map read-only. Lives as long as the process.
class CounterRegion {
 public:
  // `huge_pages`: on 2 MB pages if enough are free, else on ordinary ones; page_bytes() tells. Every packet touches two
  // leg rows, each on a page of its own.
  static Result<CounterRegion> create(std::uint32_t workers, std::uint32_t legs_per_worker, bool huge_pages = false);

  api::ProcessBlock& process() const noexcept;
  api::PortBlock& port(std::size_t i) const noexcept;
  api::WorkerBlock& worker(std::size_t w) const noexcept;
  std::span<api::LegRow> legs(std::size_t w) const noexcept;
  int fd() const noexcept { return memory_.fd(); }
  std::size_t page_bytes() const noexcept { return page_bytes_; }

 private:
  SharedMemory memory_;
  api::CounterLayout at_;
  std::size_t page_bytes_ = api::kPage;
  std::uint32_t legs_per_worker_ = 0;
};

// One worker's ends of the rings of one attach. Used by that worker's thread alone.
struct WorkerRings {
  api::RingConsumer<api::Command, api::Wipe::Yes> commands;
  api::RingProducer<api::Event> events;
  api::RingProducer<api::Datagram> datagrams_up;
  api::RingConsumer<api::Datagram> datagrams_down;
  api::RingProducer<api::Captured> captured;
  api::SleepFlags* flags = nullptr;
  int client_doorbell = -1;  // of ClientDoorbell, ours
  int doorbell = -1;         // of make_worker_doorbell(): the client rings it
  std::uint64_t event_sequence = 0;

  // After publishing something for the client: wakes it if it sleeps.
  void wake_client() noexcept {
    if (api::must_ring(flags->client_sleeps)) ring(client_doorbell);
  }

  bool corrupt() const noexcept {
    return commands.corrupt() || events.corrupt() || datagrams_up.corrupt() || datagrams_down.corrupt() || captured.corrupt();
  }
};

// The rings of one attach, all workers. Made fresh for each client, so that nothing a dead one left can matter.
class RingRegion {
 public:
  static Result<std::unique_ptr<RingRegion>> create(const api::RingSizes& sizes, std::uint32_t workers);

  WorkerRings& worker(std::size_t w) noexcept { return rings_[w]; }
  int fd() const noexcept { return memory_.fd(); }
  // The client's end of its doorbell; ours only until it was sent.
  int client_end() const noexcept { return client_doorbell_.theirs.get(); }
  void close_client_end() noexcept { client_doorbell_.theirs = Fd(); }

 private:
  SharedMemory memory_;
  ClientDoorbell client_doorbell_;
  std::vector<Fd> worker_doorbells_;
  std::vector<WorkerRings> rings_;
};

}  // namespace ifgw::runtime
