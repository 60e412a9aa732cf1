"""Payment orders and their status: pain.001.001.09 to the bank, pain.002.001.10 back.

One message carries one order. What the bank must count stands in fields the schema has: the kind of the order in
`Purp/Prtry`, and of a redemption its id, par and fee in `RmtInf/Strd` (see `Redemption`).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages import iso20022
from issuer.messages.iso20022 import only, required
from issuer.money import MAX_UNITS, whole_fen

PAYMENT_ORDER = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
PAYMENT_STATUS = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"

LONGEST_NAME = 140
LONGEST_TEXT = 1400
_LINE = 140
_REASON_LINE = 105
_REASON_CODE = re.compile(r"[A-Z0-9]{1,4}")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_FEE_REASON = "FEES"
_NO_AGENT = "NOTPROVIDED"


class OrderKind(StrEnum):
    MINT = "MINT"  # collection to reserve: raises credited
    UNFUND = "UNFUND"  # reserve to collection, for a failed order: lowers credited
    REDEEM = "REDEEM"  # reserve to the customer: raises paid by the par of its redemption
    REFUND = "REFUND"  # collection to the customer
    RETURN = "RETURN"  # collection to the sender of money that is nobody's
    BUFFER = "BUFFER"  # operating to reserve: the issuer's own money
    SWEEP = "SWEEP"  # reserve to operating


class PaymentState(StrEnum):
    """ISO 20022 external payment transaction status codes that the bank uses."""

    ACCEPTED = "ACCP"  # checked, not booked yet
    SETTLED = "ACSC"  # booked on the debtor's account
    REJECTED = "RJCT"  # nothing moved


@dataclass(frozen=True, kw_only=True)
class Redemption:
    """What a REDEEM discharges: the payout and the disclosed fee together are its par, in whole fen.

    Written as `Strd`: `RfrdDocInf` of type REDEMPTION with the id, `RfrdDocInf` of type PAR with the units, and the fee
    as `RfrdDocAmt/AdjstmntAmtAndRsn` with reason FEES.
    """

    id: int  # cumulative units redeemed on chain, after this burn
    par_units: int  # 10^-6 CNH
    fee_fen: int  # stays with the issuer: reserve to operating, in the same order

    def __post_init__(self) -> None:
        if not 0 < self.par_units <= self.id <= MAX_UNITS:
            raise InvalidInput(
                f"redemption {self.id} with a par of {self.par_units} units is impossible",
                "The id is the cumulative redeemed after the burn, so it is at least the par.",
            )
        iso20022.check_fen(self.fee_fen, "the fee", smallest=0)
        if self.fee_fen > self.par_fen:
            raise InvalidInput(
                f"a fee of {self.fee_fen} fen is more than the par of {self.par_fen} fen", "Lower the fee."
            )

    @property
    def par_fen(self) -> int:
        """The money that discharges it: the par rounded down to the fen, so that of a last few units it is none."""
        return whole_fen(self.par_units)

    @property
    def payout_fen(self) -> int:
        """What the customer receives."""
        return self.par_fen - self.fee_fen


@dataclass(frozen=True, kw_only=True)
class PaymentOrder:
    """One payment that the issuer orders. Raises InvalidInput when a field or a rule between fields is broken."""

    message_id: str
    end_to_end_id: str
    created: int  # seconds since 1970 UTC
    kind: OrderKind
    debtor_account: str
    creditor_account: str
    creditor_name: str
    amount_fen: int  # what the creditor receives; a redemption's fee comes on top, and its payout may be 0
    redemption: Redemption | None = None  # exactly when the kind is REDEEM
    text: str = ""  # for the creditor

    def __post_init__(self) -> None:
        iso20022.check_identifier(self.message_id, "the message id")
        iso20022.check_identifier(self.end_to_end_id, "the end-to-end id")
        iso20022.check_time(self.created, "the creation time")
        iso20022.check_account(self.debtor_account, "the debtor's account")
        iso20022.check_account(self.creditor_account, "the creditor's account")
        iso20022.check_text(self.creditor_name, "the creditor's name", LONGEST_NAME, shortest=1)
        iso20022.check_fen(self.amount_fen, "the amount", smallest=0 if self.redemption else 1)
        iso20022.check_text(self.text, "the text", LONGEST_TEXT)
        self._check_redemption()

    def _check_redemption(self) -> None:
        if (self.kind is OrderKind.REDEEM) != (self.redemption is not None):
            raise InvalidInput(
                f"a {self.kind} order {'lacks' if self.redemption is None else 'carries'} a redemption",
                "Give a redemption exactly when the kind is REDEEM.",
            )
        if self.redemption is not None and self.redemption.payout_fen != self.amount_fen:
            raise InvalidInput(
                f"{self.amount_fen} fen and the fee do not add up to the par of {self.redemption.par_units} units",
                "Pay the par in whole fen less the fee.",
            )

    @property
    def total_fen(self) -> int:
        """What leaves the debtor's account."""
        return self.amount_fen + (self.redemption.fee_fen if self.redemption else 0)


@dataclass(frozen=True, kw_only=True)
class PaymentStatus:
    """The bank's answer to one order."""

    message_id: str  # of this answer
    created: int  # seconds since 1970 UTC
    original_message_id: str
    end_to_end_id: str | None  # None when the order could not be read
    state: PaymentState
    code: str | None = None  # ISO external status reason, such as AM04; exactly when rejected
    text: str = ""

    def __post_init__(self) -> None:
        iso20022.check_identifier(self.message_id, "the message id")
        iso20022.check_time(self.created, "the creation time")
        iso20022.check_identifier(self.original_message_id, "the original message id")
        if self.end_to_end_id is not None:
            iso20022.check_identifier(self.end_to_end_id, "the end-to-end id")
        iso20022.check_text(self.text, "the text", LONGEST_TEXT)
        self._check_reason()

    def _check_reason(self) -> None:
        if (self.state is PaymentState.REJECTED) != (self.code is not None):
            raise InvalidInput(
                f"a status {self.state} {'lacks' if self.code is None else 'carries'} a reason code",
                "Give a reason code exactly when the order is rejected.",
            )
        if self.code is not None and _REASON_CODE.fullmatch(self.code) is None:
            raise InvalidInput(f"{self.code[:40]!r} is not a reason code", "Use one to four capitals and digits.")
        if self.state is not PaymentState.REJECTED and self.end_to_end_id is None:
            raise InvalidInput("an accepted order has an end-to-end id", "Name the order that was accepted.")

    @property
    def rejected(self) -> bool:
        return self.state is PaymentState.REJECTED


def read_order(document: bytes) -> PaymentOrder:
    """The order in a pain.001. Raises MalformedDocument."""
    with iso20022.reading("pain.001"):
        root = iso20022.read(document, PAYMENT_ORDER).cstmr_cdt_trf_initn
        payment = only(root.pmt_inf, "PmtInf")
        transaction = only(payment.cdt_trf_tx_inf, "CdtTrfTxInf")
        order = _order(root.grp_hdr, payment, transaction)
        _check_totals(order, root.grp_hdr, payment)
        return order


def write_order(order: PaymentOrder) -> bytes:
    """The order as a pain.001."""
    types = iso20022.types(PAYMENT_ORDER)
    total = iso20022.to_decimal(order.amount_fen)
    header = types.GroupHeader85(
        msg_id=order.message_id,
        cre_dt_tm=iso20022.to_moment(order.created),
        nb_of_txs="1",
        ctrl_sum=total,
        initg_pty=types.PartyIdentification135(),
    )
    payment = types.PaymentInstruction30(
        pmt_inf_id=order.message_id,
        pmt_mtd=types.PaymentMethod3Code.TRF,
        nb_of_txs="1",
        ctrl_sum=total,
        reqd_exctn_dt=types.DateAndDateTime2Choice(dt=iso20022.to_date(order.created)),
        dbtr=types.PartyIdentification135(),
        dbtr_acct=write_account(types, order.debtor_account),
        dbtr_agt=_agent(types),
        cdt_trf_tx_inf=[_transaction(types, order)],
    )
    message = types.CustomerCreditTransferInitiationV09(grp_hdr=header, pmt_inf=[payment])
    return iso20022.write(types.Document(cstmr_cdt_trf_initn=message), PAYMENT_ORDER)


def read_status(document: bytes) -> PaymentStatus:
    """The answer in a pain.002. Raises MalformedDocument."""
    with iso20022.reading("pain.002"):
        root = iso20022.read(document, PAYMENT_STATUS).cstmr_pmt_sts_rpt
        group = root.orgnl_grp_inf_and_sts
        code, text = _reason(group.sts_rsn_inf)
        return PaymentStatus(
            message_id=root.grp_hdr.msg_id,
            created=iso20022.to_seconds(root.grp_hdr.cre_dt_tm),
            original_message_id=group.orgnl_msg_id,
            end_to_end_id=_original_end_to_end_id(root, group.grp_sts),
            state=_state(required(group.grp_sts, "GrpSts")),
            code=code,
            text=text,
        )


def write_status(status: PaymentStatus) -> bytes:
    """The answer as a pain.002."""
    types = iso20022.types(PAYMENT_STATUS)
    reasons = []
    if status.code is not None:
        reason = types.StatusReason6Choice(cd=status.code)
        lines = iso20022.pieces(status.text, _REASON_LINE)
        reasons.append(types.StatusReasonInformation12(rsn=reason, addtl_inf=lines))
    elif status.text:
        lines = iso20022.pieces(status.text, _REASON_LINE)
        reasons.append(types.StatusReasonInformation12(addtl_inf=lines))
    group = types.OriginalGroupHeader17(
        orgnl_msg_id=status.original_message_id,
        orgnl_msg_nm_id=PAYMENT_ORDER.rpartition(":")[2],
        grp_sts=status.state.value,
        sts_rsn_inf=reasons,
    )
    message = types.CustomerPaymentStatusReportV10(
        grp_hdr=types.GroupHeader86(msg_id=status.message_id, cre_dt_tm=iso20022.to_moment(status.created)),
        orgnl_grp_inf_and_sts=group,
        orgnl_pmt_inf_and_sts=_original_payment(types, status),
    )
    return iso20022.write(types.Document(cstmr_pmt_sts_rpt=message), PAYMENT_STATUS)


def read_account(account: Any, path: str) -> str:
    """The number of a CashAccount element: `Othr/Id`, or an IBAN."""
    currency = getattr(account, "ccy", None)
    if currency not in (None, iso20022.CURRENCY):
        raise MalformedDocument(f"{path} is an account in {currency} instead of {iso20022.CURRENCY}")
    other = account.id.othr
    return str(required(account.id.iban if other is None else other.id, f"{path}/Id"))


def write_account(types: Any, number: str) -> Any:
    """A CashAccount38 of that schema's module."""
    other = types.GenericAccountIdentification1(id=number)
    return types.CashAccount38(id=types.AccountIdentification4Choice(othr=other))


def read_kind(purpose: Any) -> OrderKind | None:
    """The kind that `Purp/Prtry` names; None for a payment that the issuer did not order."""
    if purpose is None or purpose.prtry not in OrderKind.__members__:
        return None
    return OrderKind(purpose.prtry)


def read_text(remittance: Any) -> str:
    """The unstructured lines of a RemittanceInformation16, joined as they were cut."""
    return "" if remittance is None else iso20022.collapse("".join(remittance.ustrd))


def read_redemption(remittance: Any) -> Redemption:
    """The redemption in the `Strd` of a RemittanceInformation16. Raises MalformedDocument."""
    structured = only([] if remittance is None else remittance.strd, "RmtInf/Strd")
    adjustments = required(structured.rfrd_doc_amt, "Strd/RfrdDocAmt").adjstmnt_amt_and_rsn
    fee = only([each for each in adjustments if each.rsn == _FEE_REASON], "Strd fee")
    return Redemption(
        id=_number(structured, "REDEMPTION"),
        par_units=_number(structured, "PAR"),
        fee_fen=iso20022.to_fen(fee.amt),
    )


def write_remittance(types: Any, text: str, redemption: Redemption | None) -> Any:
    """A RemittanceInformation16 of that schema's module, or None when there is nothing to say."""
    if not text and redemption is None:
        return None
    structured = [] if redemption is None else [_structured(types, redemption)]
    return types.RemittanceInformation16(ustrd=iso20022.pieces(text, _LINE), strd=structured)


def write_amount(types: Any, fen: int) -> Any:
    """An ActiveOrHistoricCurrencyAndAmount of that schema's module."""
    return types.ActiveOrHistoricCurrencyAndAmount(value=iso20022.to_decimal(fen), ccy=iso20022.CURRENCY)


def _order(header: Any, payment: Any, transaction: Any) -> PaymentOrder:
    kind = required(read_kind(transaction.purp), "Purp/Prtry with a known kind of order")
    creditor = required(transaction.cdtr, "Cdtr")
    creditor_account = required(transaction.cdtr_acct, "CdtrAcct")
    return PaymentOrder(
        message_id=header.msg_id,
        end_to_end_id=transaction.pmt_id.end_to_end_id,
        created=iso20022.to_seconds(header.cre_dt_tm),
        kind=kind,
        debtor_account=read_account(payment.dbtr_acct, "DbtrAcct"),
        creditor_account=read_account(creditor_account, "CdtrAcct"),
        creditor_name=iso20022.collapse(required(creditor.nm, "Cdtr/Nm")),
        amount_fen=iso20022.to_fen(required(transaction.amt.instd_amt, "Amt/InstdAmt")),
        redemption=read_redemption(transaction.rmt_inf) if kind is OrderKind.REDEEM else None,
        text=read_text(transaction.rmt_inf),
    )


def _check_totals(order: PaymentOrder, *levels: Any) -> None:
    for level in levels:
        if level.nb_of_txs not in (None, "1"):
            raise MalformedDocument(f"NbOfTxs says {level.nb_of_txs}, and there is 1 transaction")
        if level.ctrl_sum is not None and int(level.ctrl_sum * 100) != order.amount_fen:
            raise MalformedDocument(f"CtrlSum says {level.ctrl_sum}, and the amount is another")


def _transaction(types: Any, order: PaymentOrder) -> Any:
    return types.CreditTransferTransaction34(
        pmt_id=types.PaymentIdentification6(end_to_end_id=order.end_to_end_id),
        amt=types.AmountType4Choice(instd_amt=write_amount(types, order.amount_fen)),
        cdtr=types.PartyIdentification135(nm=order.creditor_name),
        cdtr_acct=write_account(types, order.creditor_account),
        purp=types.Purpose2Choice(prtry=order.kind.value),
        rmt_inf=write_remittance(types, order.text, order.redemption),
    )


def _agent(types: Any) -> Any:
    other = types.GenericFinancialIdentification1(id=_NO_AGENT)
    institution = types.FinancialInstitutionIdentification18(othr=other)
    return types.BranchAndFinancialInstitutionIdentification6(fin_instn_id=institution)


def _structured(types: Any, redemption: Redemption) -> Any:
    fee = types.DocumentAdjustment1(
        amt=write_amount(types, redemption.fee_fen),
        cdt_dbt_ind=types.CreditDebitCode.DBIT,
        rsn=_FEE_REASON,
    )
    return types.StructuredRemittanceInformation16(
        rfrd_doc_inf=[
            _document(types, "REDEMPTION", redemption.id),
            _document(types, "PAR", redemption.par_units),
        ],
        rfrd_doc_amt=types.RemittanceAmount2(adjstmnt_amt_and_rsn=[fee]),
    )


def _document(types: Any, name: str, number: int) -> Any:
    choice = types.ReferredDocumentType3Choice(prtry=name)
    return types.ReferredDocumentInformation7(tp=types.ReferredDocumentType4(cd_or_prtry=choice), nb=str(number))


def _number(structured: Any, name: str) -> int:
    named = [each for each in structured.rfrd_doc_inf if each.tp and each.tp.cd_or_prtry.prtry == name]
    text = required(only(named, f"RfrdDocInf {name}").nb, f"RfrdDocInf {name}/Nb")
    if _WHOLE_NUMBER.fullmatch(text) is None:
        raise MalformedDocument(f"{name} {text[:40]!r} is not a whole number")
    return int(text)


def _reason(reasons: list[Any]) -> tuple[str | None, str]:
    if not reasons:
        return None, ""
    reason = only(reasons, "StsRsnInf")
    code = None if reason.rsn is None else required(reason.rsn.cd, "StsRsnInf/Rsn/Cd")
    return code, iso20022.collapse("".join(reason.addtl_inf))


def _original_end_to_end_id(root: Any, group_state: str) -> str | None:
    if not root.orgnl_pmt_inf_and_sts:
        return None
    payment = only(root.orgnl_pmt_inf_and_sts, "OrgnlPmtInfAndSts")
    transaction = only(payment.tx_inf_and_sts, "TxInfAndSts")
    if transaction.tx_sts not in (None, group_state):
        raise MalformedDocument(f"TxSts says {transaction.tx_sts} and GrpSts says {group_state}")
    return str(required(transaction.orgnl_end_to_end_id, "OrgnlEndToEndId"))


def _original_payment(types: Any, status: PaymentStatus) -> list[Any]:
    if status.end_to_end_id is None:
        return []
    transaction = types.PaymentTransaction105(orgnl_end_to_end_id=status.end_to_end_id, tx_sts=status.state.value)
    return [
        types.OriginalPaymentInstruction32(orgnl_pmt_inf_id=status.original_message_id, tx_inf_and_sts=[transaction])
    ]


def _state(code: str) -> PaymentState:
    if code not in {state.value for state in PaymentState}:
        raise MalformedDocument(f"GrpSts {code[:10]!r} is not a status this exchange uses")
    return PaymentState(code)
