#include "controlplane/sip/client_transactions.h"

#include <memory>

#include "controlplane/sip/request.h"

namespace ifgw::sip {
namespace {

std::string key_of(std::string_view branch, std::string_view method) {
  std::string key(branch);
  key.push_back('\n');
  key.append(method);
  return key;
}

}  // namespace

ClientTransactions::ClientTransactions(std::size_t capacity, const TimerConfig& timers, const HashKey& key, Outbox& outbox)
    : timers_(timers), outbox_(outbox), table_(capacity), index_(key) {}

SlotId ClientTransactions::start(Wire request, const Hop& hop, Purpose purpose, const Owner& owner, Instant now) {
  if (full()) return 0;
  const PreScan scan = prescan(as_bytes(*request));
  const MachineKind kind = scan.method == "INVITE" ? MachineKind::InviteClient : MachineKind::NonInviteClient;
  std::string key = key_of(scan.via.branch, scan.method);
  const SlotId id =
      table_.insert(Transaction{Machine(kind, reliable(hop.transport), timers_, now), hop, owner, purpose, request, key, nullptr, {}, {}});
  index_.insert(std::move(key), id);
  outbox_.send(hop, request, owner, false, id, now);
  settle(id, *table_.find(id));
  return id;
}

SlotId ClientTransactions::find(const PreScan& response) const { return index_.find(key_of(response.via.branch, response.cseq_method)); }

ClientTransactions::Received ClientTransactions::on_response(SlotId id, const PreScan& response, Instant now) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr) return {};
  const Actions actions = transaction->machine.on_response(response.status, timers_, now);
  if (actions.acknowledge) {
    const bool again = !actions.pass_up;
    const auto ack = std::make_shared<const std::string>(make_failure_ack(*transaction->request, response.to));
    outbox_.send(transaction->hop, ack, transaction->owner, again, 0, now);
  }
  const Received received{actions.pass_up, transaction->purpose, transaction->owner};
  settle(id, *transaction);
  return received;
}

Wire ClientTransactions::request(SlotId id) {
  const Transaction* transaction = table_.find(id);
  return transaction == nullptr ? nullptr : transaction->request;
}

Hop ClientTransactions::hop(SlotId id) {
  const Transaction* transaction = table_.find(id);
  return transaction == nullptr ? Hop{} : transaction->hop;
}

void ClientTransactions::acknowledge(SlotId id, std::string_view to_tag, Wire ack, const Hop& hop, Instant now) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr) return;
  outbox_.send(hop, ack, transaction->owner, false, 0, now);
  if (transaction->ack) return;  // a fork's ACK is not kept: its BYE ends the repetitions
  transaction->ack = std::move(ack);
  transaction->ack_hop = hop;
  transaction->ack_tag = std::string(to_tag);
}

bool ClientTransactions::acknowledge_again(SlotId id, std::string_view to_tag, Instant now) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr || !transaction->ack || transaction->ack_tag != to_tag) return false;
  outbox_.send(transaction->ack_hop, transaction->ack, transaction->owner, true, 0, now);
  return true;
}

void ClientTransactions::drop(SlotId id) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr) return;
  transaction->machine.on_transport_error();
  settle(id, *transaction);
}

bool ClientTransactions::unanswered(SlotId id) {
  const Transaction* transaction = table_.find(id);
  return transaction != nullptr && !transaction->machine.completed();
}

void ClientTransactions::drop_unanswered(SlotId id) {
  if (unanswered(id)) drop(id);
}

void ClientTransactions::settle(SlotId id, Transaction& transaction) {
  if (transaction.machine.state() == MachineState::Completed && transaction.machine.kind() == MachineKind::NonInviteClient)
    transaction.request.reset();
  if (!transaction.machine.terminated()) {
    table_.set_deadline(id, transaction.machine.deadline());
    return;
  }
  index_.erase(transaction.key, id);
  table_.erase(id);
}

void ClientTransactions::on_timer(Instant now, std::vector<ClientFailure>& failures) {
  while (const SlotId id = table_.pop_due(now)) {
    Transaction& transaction = *table_.find(id);
    const Actions actions = transaction.machine.on_timer(timers_, now);
    if (actions.send_again) outbox_.send(transaction.hop, transaction.request, transaction.owner, true, id, now);
    if (actions.timed_out) failures.push_back({id, transaction.purpose, transaction.owner});
    settle(id, transaction);
  }
}

bool ClientTransactions::on_send_failed(SlotId id, ClientFailure& failure) {
  Transaction* transaction = table_.find(id);
  if (transaction == nullptr || transaction->machine.completed()) return false;
  failure = {id, transaction->purpose, transaction->owner};
  drop(id);
  return true;
}

}  // namespace ifgw::sip
