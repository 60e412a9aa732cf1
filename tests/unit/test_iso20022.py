"""The bank's messages: what is written is read again alike, and whatever is not plain is refused whole."""

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.errors import InvalidInput, MalformedDocument
from issuer.messages import iso20022
from issuer.messages.camt import (
    Entry,
    Notice,
    Side,
    Statement,
    read_notice,
    read_statement,
    write_notice,
    write_statement,
)
from issuer.messages.pain import (
    OrderKind,
    PaymentOrder,
    PaymentState,
    PaymentStatus,
    Redemption,
    read_order,
    read_status,
    write_order,
    write_status,
)

RESERVE = "012875000000002"
NOON = 1_790_000_000

characters = st.characters(exclude_categories=["C", "Z"])
words = st.text(characters, min_size=1, max_size=12)
lines = st.lists(words, max_size=20).map(" ".join)
names = st.lists(words, min_size=1, max_size=8).map(" ".join)
alphanumeric = string.ascii_letters + string.digits
accounts = st.text(alphanumeric, min_size=1, max_size=34)
identifiers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,34}", fullmatch=True)
fens = st.integers(1, iso20022.MAX_FEN)
times = st.integers(0, 253_402_271_999)


@st.composite
def redemptions(draw: st.DrawFn) -> Redemption:
    par = draw(st.integers(1, 10**17))
    fee = draw(st.integers(0, par // 10_000))
    return Redemption(id=par + draw(st.integers(0, 10**17)), par_units=par, fee_fen=fee)


@st.composite
def orders(draw: st.DrawFn) -> PaymentOrder:
    kind = draw(st.sampled_from(OrderKind))
    redemption = draw(redemptions()) if kind is OrderKind.REDEEM else None
    return PaymentOrder(
        message_id=draw(identifiers),
        end_to_end_id=draw(identifiers),
        created=draw(times),
        kind=kind,
        debtor_account=draw(accounts),
        creditor_account=draw(accounts),
        creditor_name=draw(names),
        amount_fen=redemption.payout_fen if redemption else draw(fens),
        redemption=redemption,
        text=draw(lines),
    )


@st.composite
def statuses(draw: st.DrawFn) -> PaymentStatus:
    state = draw(st.sampled_from(PaymentState))
    rejected = state is PaymentState.REJECTED
    return PaymentStatus(
        message_id=draw(identifiers),
        created=draw(times),
        original_message_id=draw(identifiers),
        end_to_end_id=draw(st.none() | identifiers) if rejected else draw(identifiers),
        state=state,
        code=draw(st.sampled_from(["AM04", "DU01", "FF01"])) if rejected else None,
        text=draw(lines),
    )


@st.composite
def entries(draw: st.DrawFn, account: str = RESERVE) -> Entry:
    side, reversal = draw(st.sampled_from(Side)), draw(st.booleans())
    paid_in = (side is Side.CREDIT) != reversal
    kind = draw(st.none() | st.sampled_from([OrderKind.MINT, OrderKind.UNFUND] if paid_in else list(OrderKind)))
    return Entry(
        account=account,
        reference=draw(identifiers),
        detail=0,
        side=side,
        amount_fen=draw(st.integers(1, 10**12)),
        booked_at=draw(st.none() | times),
        counterparty_name=draw(st.just("") | names),
        counterparty_account=draw(st.just("") | accounts),
        end_to_end_id=draw(st.none() | identifiers),
        kind=kind,
        redemption=draw(redemptions()) if kind is OrderKind.REDEEM else None,
        text=draw(lines),
        reversal=reversal,
    )


@st.composite
def bookings(draw: st.DrawFn) -> tuple[Entry, ...]:
    """One booking with one to three details, which share what belongs to the booking."""
    first = draw(entries())
    alike = entries().filter(lambda other: (other.side, other.reversal) == (first.side, first.reversal))
    details = [first, *draw(st.lists(alike, max_size=2))]
    return tuple(
        replace(
            each,
            detail=place,
            reference=first.reference,
            booked_at=first.booked_at,
        )
        for place, each in enumerate(details)
    )


many = st.lists(bookings(), max_size=4, unique_by=lambda booking: booking[0].reference).map(
    lambda found: sum(found, ())
)


@given(orders())
def test_an_order_survives_the_wire(order: PaymentOrder) -> None:
    assert read_order(write_order(order)) == order
    assert write_order(order) == write_order(read_order(write_order(order)))


@given(statuses())
def test_a_status_survives_the_wire(status: PaymentStatus) -> None:
    assert read_status(write_status(status)) == status


@given(many.filter(bool), st.integers(1, 10**9), times)
def test_a_notice_survives_the_wire(found: tuple[Entry, ...], sequence: int, created: int) -> None:
    notice = Notice(sequence=sequence, created=created, account=RESERVE, entries=found)
    assert read_notice(write_notice(notice)) == notice


@given(many, st.integers(-(10**14), 10**14), times)
def test_a_statement_survives_the_wire(found: tuple[Entry, ...], opening: int, start: int) -> None:
    closing = opening + sum(entry.change_fen for entry in found)
    statement = Statement(
        sequence=7,
        created=NOON,
        account=RESERVE,
        start=start,
        end=start,
        opening_fen=opening,
        closing_fen=closing,
        entries=found,
    )
    assert read_statement(write_statement(statement)) == statement


ORDER = PaymentOrder(
    message_id="REDEEM-1",
    end_to_end_id="E-1",
    created=NOON,
    kind=OrderKind.REDEEM,
    debtor_account=RESERVE,
    creditor_account="990000000001",
    creditor_name="Platform B Limited",
    amount_fen=9_999_950,
    redemption=Redemption(id=100_000_000_000, par_units=100_000_000_000, fee_fen=50),
)
PAIN = write_order(ORDER).decode()


def test_an_order_stands_in_the_fields_of_the_schema() -> None:
    for expected in (
        'xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"',
        '<InstdAmt Ccy="CNY">99999.50</InstdAmt>',
        "<Purp><Prtry>REDEEM</Prtry></Purp>",
        "<Nb>100000000000</Nb>",
        '<AdjstmntAmtAndRsn><Amt Ccy="CNY">0.50</Amt>',
        "<NbOfTxs>1</NbOfTxs>",
    ):
        assert expected in PAIN


BOMB = '<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
AMOUNT = ">99999.50</InstdAmt>"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pain.001.001.09", "pain.001.001.03"),
        ("<Document ", "<Dokument "),
        ('Ccy="CNY">99999.50</InstdAmt>', 'Ccy="CNH">99999.50</InstdAmt>'),
        ('Ccy="CNY">99999.50</InstdAmt>', 'Ccy="HKD">99999.50</InstdAmt>'),
        (' Ccy="CNY">99999.50</InstdAmt>', AMOUNT),
        (AMOUNT, ">99999.500</InstdAmt>"),
        (AMOUNT, ">99999.5001</InstdAmt>"),
        (AMOUNT, ">-99999.50</InstdAmt>"),
        (AMOUNT, ">+99999.50</InstdAmt>"),
        (AMOUNT, ">NaN</InstdAmt>"),
        (AMOUNT, ">INF</InstdAmt>"),
        (AMOUNT, ">9.999950E4</InstdAmt>"),
        (AMOUNT, ">9999950E-2</InstdAmt>"),
        (AMOUNT, ">99,999.50</InstdAmt>"),
        (AMOUNT, ">99_999.50</InstdAmt>"),
        (AMOUNT, "> 99999.50</InstdAmt>"),
        (AMOUNT, ">９９９９９.50</InstdAmt>"),
        (AMOUNT, ">099999.50</InstdAmt>"),
        (AMOUNT, ">0.00</InstdAmt>"),
        (AMOUNT, ">99999.49</InstdAmt>"),
        (AMOUNT, "></InstdAmt>"),
        (AMOUNT, ">9999999999999999.50</InstdAmt>"),
        ("<NbOfTxs>1</NbOfTxs>", "<NbOfTxs>2</NbOfTxs>"),
        ("<CtrlSum>99999.50</CtrlSum>", "<CtrlSum>99999.51</CtrlSum>"),
        ("<CtrlSum>99999.50</CtrlSum>", "<CtrlSum>9.999950E4</CtrlSum>"),
        ("<MsgId>REDEEM-1</MsgId>", ""),
        ("<MsgId>REDEEM-1</MsgId>", "<MsgId></MsgId>"),
        ("<MsgId>REDEEM-1</MsgId>", "<MsgId>../../etc/passwd</MsgId>"),
        ("<MsgId>REDEEM-1</MsgId>", f"<MsgId>{'A' * 36}</MsgId>"),
        ("<MsgId>REDEEM-1</MsgId>", "<MsgId>REDEEM-1</MsgId><MsgId>REDEEM-2</MsgId>"),
        ("<EndToEndId>E-1</EndToEndId>", ""),
        ("<Purp><Prtry>REDEEM</Prtry></Purp>", ""),
        ("<Purp><Prtry>REDEEM</Prtry></Purp>", "<Purp><Prtry>GIFT</Prtry></Purp>"),
        ("<Purp><Prtry>REDEEM</Prtry></Purp>", "<Purp><Prtry>REFUND</Prtry></Purp><Colour/>"),
        ("<Nm>Platform B Limited</Nm>", ""),
        ("<Nm>Platform B Limited</Nm>", f"<Nm>{'x' * 141}</Nm>"),
        ("<Nb>100000000000</Nb>", "<Nb>1e11</Nb>"),
        ("<Nb>100000000000</Nb>", "<Nb>-100000000000</Nb>"),
        ("<Rsn>FEES</Rsn>", "<Rsn>GIFT</Rsn>"),
        ("<CreDtTm>", "<CreDtTm>not-a-time"),
        ("</Document>", ""),
        ("</Document>", "</Document><Document/>"),
        (DECLARATION, DECLARATION + BOMB),
        (DECLARATION, DECLARATION + OUTSIDE),
        (DECLARATION, DECLARATION + "<?php system(1) ?>"),
        (DECLARATION, '<?xml version="1.0" encoding="ISO-8859-1"?>'),
        ("Platform B Limited", "&file;"),
        ("Platform B Limited", "Platform \x07 Limited"),
    ],
)
def test_an_order_that_is_not_plain_is_refused_whole(old: str, new: str) -> None:
    assert old in PAIN
    with pytest.raises(MalformedDocument) as refusal:
        read_order(PAIN.replace(old, new).encode())
    assert refusal.value.what.startswith("pain.001: ")
    assert refusal.value.do


def test_a_second_transaction_is_refused() -> None:
    start, end = PAIN.index("<CdtTrfTxInf>"), PAIN.index("</PmtInf>")
    doubled = PAIN[:end] + PAIN[start:end] + PAIN[end:]
    with pytest.raises(MalformedDocument, match="CdtTrfTxInf stands 2 times"):
        read_order(doubled.encode())


@given(st.integers(0, len(PAIN.encode()) - 2))
def test_a_truncated_document_is_refused(length: int) -> None:
    with pytest.raises(MalformedDocument):
        read_order(PAIN.encode()[:length])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(document: bytes) -> None:
    for read in (read_order, read_status, read_notice, read_statement):
        with pytest.raises(MalformedDocument):
            read(document)


@given(st.data())
def test_a_flipped_byte_is_refused_or_read_as_a_whole_order(data: st.DataObject) -> None:
    document = bytearray(PAIN.encode())
    document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_order(bytes(document))
    except MalformedDocument:
        return
    assert read_order(write_order(found)) == found


def test_an_oversized_document_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(MalformedDocument, match="more than"):
        read_notice(b"<" * (iso20022.MAX_BYTES + 1))


def test_utf_16_is_refused() -> None:
    with pytest.raises(MalformedDocument):
        read_order(PAIN.replace("UTF-8", "UTF-16").encode("utf-16"))


# A notice as another bank would write it: indented, with a batch of two credits, dates without times, an IBAN,
# remittance text cut in two, and fields that this exchange does not use.
FOREIGN = """<?xml version="1.0" encoding="utf-8"?>
<!-- a comment is no declaration -->
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08 camt.054.001.08.xsd">
  <BkToCstmrDbtCdtNtfctn>
    <GrpHdr>
      <MsgId>20260921/0001</MsgId>
      <CreDtTm>2026-09-21T21:00:00+08:00</CreDtTm>
      <MsgPgntn><PgNb>1</PgNb><LastPgInd>true</LastPgInd></MsgPgntn>
    </GrpHdr>
    <Ntfctn>
      <Id>A1</Id>
      <ElctrncSeqNb>12</ElctrncSeqNb>
      <CreDtTm>2026-09-21T21:00:00.250</CreDtTm>
      <Acct><Id><Othr><Id>012875000000001</Id></Othr></Id><Ccy>CNY</Ccy><Nm>COLLECTION</Nm></Acct>
      <TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries></TtlNtries></TxsSummry>
      <Ntry>
        <NtryRef>1</NtryRef>
        <Amt Ccy="CNY">300</Amt>
        <CdtDbtInd>CRDT</CdtDbtInd>
        <Sts><Cd>BOOK</Cd></Sts>
        <BookgDt><Dt>2026-09-21</Dt></BookgDt>
        <ValDt><Dt>2026-09-21</Dt></ValDt>
        <AcctSvcrRef>NONREF 5512/7</AcctSvcrRef>
        <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd>
        <NtryDtls>
          <Btch><NbOfTxs>2</NbOfTxs></Btch>
          <TxDtls>
            <Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
            <Amt Ccy="CNY">299.9</Amt>
            <CdtDbtInd>CRDT</CdtDbtInd>
            <RltdPties>
              <Dbtr><Pty><Nm>Platform
                 A Limited</Nm></Pty></Dbtr>
              <DbtrAcct><Id><IBAN>GB33BUKB20201555555555</IBAN></Id></DbtrAcct>
            </RltdPties>
            <RmtInf><Ustrd>for min</Ustrd><Ustrd>ting</Ustrd></RmtInf>
          </TxDtls>
          <TxDtls>
            <Refs><EndToEndId>INV 7 / 2026</EndToEndId></Refs>
            <Amt Ccy="CNY">0.10</Amt>
            <CdtDbtInd>CRDT</CdtDbtInd>
          </TxDtls>
        </NtryDtls>
      </Ntry>
      <Ntry>
        <Amt Ccy="CNY">5.00</Amt>
        <CdtDbtInd>DBIT</CdtDbtInd>
        <Sts><Cd>PDNG</Cd></Sts>
        <AcctSvcrRef>CHG-1</AcctSvcrRef>
        <BkTxCd/>
      </Ntry>
    </Ntfctn>
  </BkToCstmrDbtCdtNtfctn>
</Document>
"""


def test_another_banks_notice_is_read() -> None:
    notice = read_notice(FOREIGN.encode())
    first, second, pending = notice.entries
    assert (notice.sequence, notice.account) == (12, "012875000000001")
    assert notice.created == 1_790_000_000 - 4400  # 21:00 in Hong Kong is 13:00 UTC
    assert (first.reference, first.detail, first.amount_fen) == ("NONREF 5512/7", 0, 29990)
    assert (first.counterparty_name, first.counterparty_account) == ("Platform A Limited", "GB33BUKB20201555555555")
    assert (first.text, first.end_to_end_id, first.kind) == ("for minting", None, None)
    assert first.booked_at == 1_789_920_000  # the day's start in Hong Kong: 16:00 UTC of the day before
    assert (second.detail, second.amount_fen, second.end_to_end_id) == (1, 10, "INV 7 / 2026")
    assert (pending.booked, pending.change_fen, pending.counterparty_name) == (False, 0, "")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("<Cd>BOOK</Cd>", "<Cd>INFO</Cd>", "status"),
        ("<BookgDt><Dt>2026-09-21</Dt></BookgDt>", "", "BookgDt is missing"),
        ("<AcctSvcrRef>NONREF 5512/7</AcctSvcrRef>", "", "AcctSvcrRef is missing"),
        ("<AcctSvcrRef>CHG-1</AcctSvcrRef>", "<AcctSvcrRef>NONREF 5512/7</AcctSvcrRef>", "stands twice"),
        ('<Amt Ccy="CNY">0.10</Amt>', '<Amt Ccy="CNY">0.11</Amt>', "do not add up"),
        ('<Amt Ccy="CNY">0.10</Amt>', "", "TxDtls/Amt is missing"),
        ("<ElctrncSeqNb>12</ElctrncSeqNb>", "", "ElctrncSeqNb is missing"),
        ("<ElctrncSeqNb>12</ElctrncSeqNb>", "<ElctrncSeqNb>0</ElctrncSeqNb>", "sequence number"),
        ("<ElctrncSeqNb>12</ElctrncSeqNb>", f"<ElctrncSeqNb>{2**53}</ElctrncSeqNb>", "sequence number"),
        ("<ElctrncSeqNb>12</ElctrncSeqNb>", "<ElctrncSeqNb>1.2E1</ElctrncSeqNb>", "plain number"),
        ("<Ccy>CNY</Ccy>", "<Ccy>USD</Ccy>", "USD"),
        ("2026-09-21T21:00:00+08:00", "2026-02-30T21:00:00+08:00", "CreDtTm|cre_dt_tm|not a"),
    ],
)
def test_another_banks_notice_is_refused_with_the_reason(old: str, new: str, why: str) -> None:
    assert old in FOREIGN
    with pytest.raises(MalformedDocument, match=why):
        read_notice(FOREIGN.replace(old, new).encode())


def test_a_statement_with_an_entry_missing_is_refused() -> None:
    entry = Entry(account=RESERVE, reference="B1", detail=0, side=Side.CREDIT, amount_fen=500, booked_at=NOON, text="x")
    statement = Statement(
        sequence=1,
        created=NOON,
        account=RESERVE,
        start=0,
        end=NOON,
        opening_fen=100,
        closing_fen=600,
        entries=(entry,),
    )
    document = write_statement(statement).decode()
    start, end = document.index("<Ntry>"), document.index("</Stmt>")
    with pytest.raises(MalformedDocument, match="do not make the closing"):
        read_statement((document[:start] + document[end:]).encode())
    with pytest.raises(InvalidInput, match="another account"):
        replace(statement, account="1")
    with pytest.raises(InvalidInput, match="ends before"):
        replace(statement, start=NOON + 1)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": OrderKind.REFUND},
        {"redemption": None},
        {"amount_fen": 1},
        {"amount_fen": -1},
        {"message_id": "a b"},
        {"creditor_name": ""},
        {"creditor_name": " x"},
        {"debtor_account": "01-2"},
        {"text": "a\nb"},
        {"created": -1},
    ],
)
def test_a_broken_order_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(ORDER, **change)  # type: ignore[arg-type]


def test_the_last_few_units_are_discharged_without_money() -> None:
    dust = Redemption(id=9_999, par_units=9_999, fee_fen=0)
    order = replace(ORDER, redemption=dust, amount_fen=0)
    assert read_order(write_order(order)) == order
    with pytest.raises(InvalidInput):
        Redemption(id=9_999, par_units=9_999, fee_fen=1)
    with pytest.raises(InvalidInput):
        Redemption(id=1, par_units=2, fee_fen=0)
