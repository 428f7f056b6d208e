"""Transactions, under Prefect's module name; and `journal_transaction`, which is Penstock's own."""

from penstock.core.isolation import CommitMode, IsolationLevel, TransactionState
from penstock.engine.transactions.blocks import (
    AsyncTransaction,
    BaseTransaction,
    Transaction,
    atransaction,
    get_transaction,
    transaction,
)
from penstock.engine.transactions.joining import journal_transaction

__all__ = [
    "AsyncTransaction",
    "BaseTransaction",
    "CommitMode",
    "IsolationLevel",
    "Transaction",
    "TransactionState",
    "atransaction",
    "get_transaction",
    "journal_transaction",
    "transaction",
]
