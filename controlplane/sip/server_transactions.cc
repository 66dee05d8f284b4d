#include "controlplane/sip/server_transactions.h"

#include "controlplane/sip/text.h"

namespace ifgw::sip {
namespace {

constexpr std::string_view kCookie = "z9hG4bK";

void add(std::string& key, std::string_view part) {
  key.append(part);
  key.push_back('\n');  // cannot be in a part: header lines are checked
}

}  // namespace

ServerTransactions::ServerTransactions(std::size_t capacity, const TimerConfig& timers, const HashKey& key, Outbox& outbox)
    : timers_(timers), key_(key), outbox_(outbox), table_(capacity), index_(key), merged_(key) {}

std::string ServerTransactions::key_of(const PreScan& scan, std::string_view method) const {
  std::string key;
  key.reserve(160);
  add(key, method);
  add(key, scan.via.branch);
  for (const char c : scan.via.host) key.push_back(lower(c));
  key.push_back(':');
  add(key, std::to_string(scan.via.port));
  if (starts_with_same(scan.via.branch, kCookie)) return key;
  add(key, scan.call_id);
  add(key, scan.from_tag);
  add(key, std::to_string(scan.cseq));
  return key;
}

std::string ServerTransactions::merge_key_of(const PreScan& scan) {
  std::string key;
  add(key, scan.method);
  add(key, scan.call_id);
  add(key, scan.from_tag);
  add(key, std::to_string(scan.cseq));
  return key;
}

SlotId ServerTransactions::find(const PreScan& scan) const { return index_.find(key_of(scan, method_of(scan))); }

std::uint64_t ServerTransactions::hash_of(const PreScan& scan) const { return keyed_hash(key_of(scan, method_of(scan)), key_); }

SlotId ServerTransactions::find_cancelled(const PreScan& scan) const { return index_.find(key_of(scan, "INVITE")); }

bool ServerTransactions::is_merged(const PreScan& scan) const { return merged_.find(merge_key_of(scan)) != 0; }

SlotId ServerTransactions::start(const PreScan& scan, const Hop& reply_to, const Owner& owner, Instant now) {
  const MachineKind kind = scan.method == "INVITE" ? MachineKind::InviteServer : MachineKind::NonInviteServer;
  Transaction fresh{Machine(kind, reliable(reply_to.transport), timers_, now), reply_to, owner, nullptr, key_of(scan, scan.method), {}};
  if (scan.to_tag.empty()) fresh.merge_key = merge_key_of(scan);
  const SlotId id = table_.insert(std::move(fresh));
  const Transaction& transaction = *table_.find(id);
  index_.insert(transaction.key, id);
  if (!transaction.merge_key.empty()) merged_.insert(transaction.merge_key, id);
  return id;
}

void ServerTransactions::set_owner(SlotId id, const Owner& owner) {
  if (Transaction* transaction = table_.find(id)) transaction->owner = owner;
}

Owner ServerTransactions::owner(SlotId id) {
  const Transaction* transaction = table_.find(id);
  return transaction == nullptr ? Owner{} : transaction->owner;
}

bool ServerTransactions::open(SlotId id) {
  const Transaction* transaction = table_.find(id);
  return transaction != nullptr && !transaction->machine.completed();
}

void ServerTransactions::on_request(SlotId id, Instant now) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr) return;
  if (transaction->machine.on_request(now).send_again && transaction->last)
    outbox_.send(transaction->reply_to, transaction->last, transaction->owner, true, 0, now);
}

ServerTransactions::Ack ServerTransactions::on_ack(SlotId id, Instant now) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr) return Ack::Again;
  const bool again = transaction->machine.state() == MachineState::Confirmed;
  const bool of_answer = transaction->machine.on_ack(timers_, now).pass_up;
  settle(id, *transaction);
  return of_answer ? Ack::OfAnswer : again ? Ack::Again : Ack::OfRefusal;
}

bool ServerTransactions::answer(SlotId id, int status, Wire bytes, Instant now) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr) return false;
  const bool again = transaction->machine.completed();
  if (!transaction->machine.on_answer(status, timers_, now)) return false;
  outbox_.send(transaction->reply_to, bytes, transaction->owner, again, 0, now);
  transaction->last = std::move(bytes);
  settle(id, *transaction);
  return true;
}

// After any step: forget what is over, re-arm what is not.
void ServerTransactions::settle(SlotId id, Transaction& transaction) {
  if (transaction.machine.state() == MachineState::Accepted || transaction.machine.state() == MachineState::Confirmed)
    transaction.last.reset();
  if (!transaction.machine.terminated()) {
    table_.set_deadline(id, transaction.machine.deadline());
    return;
  }
  index_.erase(transaction.key, id);
  if (!transaction.merge_key.empty()) merged_.erase(transaction.merge_key, id);
  table_.erase(id);
}

std::size_t ServerTransactions::on_timer(Instant now) {
  std::size_t unacknowledged = 0;
  while (const SlotId id = table_.pop_due(now)) {
    Transaction& transaction = *table_.find(id);
    const Actions actions = transaction.machine.on_timer(timers_, now);
    if (actions.send_again && transaction.last) outbox_.send(transaction.reply_to, transaction.last, transaction.owner, true, 0, now);
    if (actions.timed_out) ++unacknowledged;
    settle(id, transaction);
  }
  return unacknowledged;
}

}  // namespace ifgw::sip
