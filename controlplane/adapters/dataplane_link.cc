#include "controlplane/adapters/dataplane_link.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/api/checks.h"

namespace ifgw::adapters {
namespace {

constexpr std::uint32_t kMaxLegsPerWorker = (1u << 24) - 1;

Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

bool plausible(const api::AttachReply& r) {
  return r.workers >= 1 && r.workers <= api::kMaxWorkers && r.legs_per_worker >= 1 && r.legs_per_worker <= kMaxLegsPerWorker &&
         (r.counter_page_bytes == api::kPage || r.counter_page_bytes == api::kHugePage) && api::valid_ring_sizes(r.rings) &&
         r.local_address_count <= api::kMaxLocalAddresses && r.signalling_port_count <= api::kMaxSignallingPorts &&
         r.signalling_tcp_port_count <= api::kMaxSignallingTcpPorts && r.media_port_first <= r.media_port_last &&
         r.sizes == api::ContractSizes{};
}

Result<std::uint8_t*> map_whole(int fd, std::size_t bytes, bool writable) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return system_error("fstat");
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW) || info.st_size != static_cast<off_t>(bytes))
    return Error{"the dataplane handed over shared memory of the wrong size, or unsealed"};
  void* at = mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED | (writable ? MAP_POPULATE : 0), fd, 0);
  if (at == MAP_FAILED) return system_error("cannot map the dataplane's shared memory");
  madvise(at, bytes, MADV_DONTDUMP);
  return static_cast<std::uint8_t*>(at);
}

}  // namespace

Result<std::unique_ptr<DataplaneLink>> DataplaneLink::map(UniqueFd connection, const api::AttachReply& welcome, std::vector<UniqueFd> fds) {
  std::unique_ptr<DataplaneLink> link(new DataplaneLink);
  link->connection_ = connection.release();
  link->welcome_ = welcome;
  if (const Status mapped = link->map(fds); !mapped) return mapped.error();
  return link;
}

Status DataplaneLink::map(std::vector<UniqueFd>& fds) {
  if (!plausible(welcome_) || fds.size() != api::kAttachFixedFds + welcome_.workers)
    return Error{"the dataplane's answer makes no sense: install both from the same release"};
  const std::size_t rings_bytes = api::ring_region_bytes(welcome_.rings, welcome_.workers);
  const std::size_t counters_bytes = api::counter_layout(welcome_.workers, welcome_.legs_per_worker, welcome_.counter_page_bytes).bytes;
  auto rings = map_whole(fds[0].get(), rings_bytes, true);
  if (!rings) return rings.error();
  rings_ = *rings;
  rings_bytes_ = rings_bytes;
  auto counters = map_whole(fds[1].get(), counters_bytes, false);
  if (!counters) return counters.error();
  counters_ = *counters;
  counters_bytes_ = counters_bytes;
  doorbell_ = fds[2].release();
  const api::RingLayout at = api::ring_layout(welcome_.rings);
  for (std::uint32_t w = 0; w < welcome_.workers; ++w) {
    std::uint8_t* base = rings_ + at.stride * w;
    Worker& worker = workers_.emplace_back();
    worker.commands = {base + at.commands, welcome_.rings.commands};
    worker.events = {base + at.events, welcome_.rings.events};
    worker.datagrams_up = {base + at.datagrams_up, welcome_.rings.datagrams_up};
    worker.datagrams_down = {base + at.datagrams_down, welcome_.rings.datagrams_down};
    worker.captured = {base + at.captured, welcome_.rings.captured};
    worker.flags = reinterpret_cast<api::SleepFlags*>(base + at.flags);
    worker.doorbell = fds[api::kAttachFixedFds + w].release();
  }
  datagram_in_ = std::make_unique<api::Datagram>();
  datagram_out_ = std::make_unique<api::Datagram>();
  captured_ = std::make_unique<api::Captured>();
  return Success{};
}

DataplaneLink::~DataplaneLink() {
  for (const Worker& worker : workers_) close(worker.doorbell);
  if (doorbell_ >= 0) close(doorbell_);
  if (rings_ != nullptr) munmap(rings_, rings_bytes_);
  if (counters_ != nullptr) munmap(const_cast<std::uint8_t*>(counters_), counters_bytes_);
  if (connection_ >= 0) close(connection_);
}

void DataplaneLink::wake(const Worker& worker) noexcept {
  if (api::must_ring(worker.flags->worker_sleeps)) eventfd_write(worker.doorbell, 1);
}

bool DataplaneLink::send(std::uint32_t worker, const api::Command& command) noexcept {
  if (worker >= workers_.size() || !workers_[worker].commands.push(command)) return false;
  wake(workers_[worker]);
  return true;
}

bool DataplaneLink::send_datagram(std::uint32_t worker, const api::DatagramHeader& header, std::span<const std::uint8_t> payload) noexcept {
  if (worker >= workers_.size() || payload.empty() || payload.size() > api::kMaxDatagramPayload) return false;
  datagram_out_->header = header;
  datagram_out_->header.length = static_cast<std::uint16_t>(payload.size());
  std::memcpy(datagram_out_->payload.data(), payload.data(), payload.size());
  if (!workers_[worker].datagrams_down.push(*datagram_out_)) return false;
  wake(workers_[worker]);
  return true;
}

std::size_t DataplaneLink::receive(std::uint32_t worker, std::span<api::Event> out) noexcept {
  IFGW_CHECK(worker < workers_.size());
  for (std::size_t popped = 0; (popped = workers_[worker].events.pop(out)) != 0;) {
    const auto first = out.begin();
    const auto end = std::remove_if(first, first + static_cast<std::ptrdiff_t>(popped), [](const api::Event& e) { return !api::valid(e); });
    const auto kept = static_cast<std::size_t>(end - first);
    invalid_messages_ += popped - kept;
    if (kept != 0) return kept;
  }
  return 0;
}

std::optional<api::LegInfo> DataplaneLink::read(const api::LegRow& row) noexcept {
  const std::optional<api::LegInfo> info = api::read_leg(row);
  if (!info || (api::valid(*info) && leg(info->id) == &row)) return info;
  ++invalid_messages_;
  return std::nullopt;
}

const api::Datagram* DataplaneLink::receive_datagram(std::uint32_t worker) noexcept {
  IFGW_CHECK(worker < workers_.size());
  while (workers_[worker].datagrams_up.pop(*datagram_in_)) {
    const std::size_t length = datagram_in_->header.length;
    if (length >= 1 && length <= api::kMaxDatagramPayload && api::given(datagram_in_->header.remote.ip) &&
        api::given(datagram_in_->header.local.ip))
      return datagram_in_.get();
    ++invalid_messages_;
  }
  return nullptr;
}

const api::Captured* DataplaneLink::receive_captured(std::uint32_t worker) noexcept {
  IFGW_CHECK(worker < workers_.size());
  while (workers_[worker].captured.pop(*captured_)) {
    const api::CapturedHeader& h = captured_->header;
    const bool direction = h.direction == api::CaptureDirection::Inbound || h.direction == api::CaptureDirection::Outbound;
    const bool drop = h.dropped == 0 || (h.dropped == 1 && static_cast<std::size_t>(h.drop) < api::kDropReasonCount);
    if (direction && drop && h.length <= h.original_length && h.length <= api::kMaxCapturedBytes && h.port < api::kMaxPorts)
      return captured_.get();
    ++invalid_messages_;
  }
  return nullptr;
}

bool DataplaneLink::arm() noexcept {
  for (Worker& worker : workers_) worker.flags->client_sleeps.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (Worker& worker : workers_) {
    if (worker.events.empty() && worker.datagrams_up.empty() && worker.captured.empty()) continue;
    disarm();
    return false;
  }
  return true;
}

void DataplaneLink::disarm() noexcept {
  for (Worker& worker : workers_) worker.flags->client_sleeps.store(0, std::memory_order_relaxed);
  char ignored = 0;
  // Every worker rings once per sleep. What a dataplane sends beyond that can wait for the next round.
  for (std::size_t i = 0; i <= workers_.size() && recv(doorbell_, &ignored, sizeof ignored, MSG_DONTWAIT) >= 0; ++i) {
  }
}

bool DataplaneLink::corrupt() const noexcept {
  for (const Worker& w : workers_)
    if (w.commands.corrupt() || w.events.corrupt() || w.datagrams_up.corrupt() || w.datagrams_down.corrupt() || w.captured.corrupt())
      return true;
  return false;
}

const api::ProcessBlock& DataplaneLink::process() const noexcept { return *reinterpret_cast<const api::ProcessBlock*>(counters_); }

const api::PortBlock& DataplaneLink::port(std::size_t i) const noexcept {
  IFGW_CHECK(i < api::kMaxPorts * 2);
  const auto at = api::counter_layout(welcome_.workers, welcome_.legs_per_worker, welcome_.counter_page_bytes);
  return reinterpret_cast<const api::PortBlock*>(counters_ + at.ports)[i];
}

const api::WorkerBlock& DataplaneLink::worker(std::uint32_t w) const noexcept {
  IFGW_CHECK(w < welcome_.workers);
  const auto at = api::counter_layout(welcome_.workers, welcome_.legs_per_worker, welcome_.counter_page_bytes);
  return reinterpret_cast<const api::WorkerBlock*>(counters_ + at.workers)[w];
}

std::span<const api::LegRow> DataplaneLink::legs(std::uint32_t w) const noexcept {
  IFGW_CHECK(w < welcome_.workers);
  const auto at = api::counter_layout(welcome_.workers, welcome_.legs_per_worker, welcome_.counter_page_bytes);
  const auto* rows = reinterpret_cast<const api::LegRow*>(counters_ + at.legs);
  return {rows + std::size_t{w} * welcome_.legs_per_worker, welcome_.legs_per_worker};
}

const api::LegRow* DataplaneLink::leg(api::LegId id) const noexcept {
  if (!id.present() || id.worker() >= welcome_.workers || id.index() >= welcome_.legs_per_worker) return nullptr;
  return &legs(id.worker())[id.index()];
}

}  // namespace ifgw::adapters
