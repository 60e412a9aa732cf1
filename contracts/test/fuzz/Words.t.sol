// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccountWord, FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {BackingWord, toBackingWord} from "../../types/BackingWord.sol";
import {BucketWord} from "../../types/BucketWord.sol";
import {Order} from "../../types/Order.sol";
import {ALL_STOPS, RulesWord} from "../../types/RulesWord.sol";
import {TotalsWord} from "../../types/TotalsWord.sol";
import {vm} from "../support/Vm.sol";

/// @dev Each change of a packed word changes its own field and no other.
contract WordsTest {
    // Accounts: raw words of a balance below 2^72, any status, any count, no spare bits

    function account(uint72 balance, uint16 status, uint32 freezes) private pure returns (AccountWord) {
        return AccountWord.wrap(uint256(balance) | (uint256(status) << 128) | (uint256(freezes) << 144));
    }

    function same(AccountWord word, uint256 balance, uint256 status, uint256 freezes) private pure {
        vm.assertEq(word.balance(), balance);
        vm.assertEq(word.status(), status);
        vm.assertEq(word.freezeCount(), freezes);
        vm.assertEq(AccountWord.unwrap(word) >> 176, 0);
    }

    function testFuzz_account(uint72 balance, uint16 status, uint32 freezes, uint72 value) public pure {
        freezes %= type(uint32).max;
        AccountWord word = account(balance, status, freezes);
        same(word, balance, status, freezes);
        same(word.credit(value), uint256(balance) + value, status, freezes);
        same(word.debit(value % (uint256(balance) + 1)), balance - value % (uint256(balance) + 1), status, freezes);
        same(word.verified(), balance, status | VERIFIED, freezes);
        same(word.unverified(), balance, status & ~VERIFIED, freezes);
        same(word.frozen(), balance, status | FROZEN, uint256(freezes) + 1);
        same(word.unfrozen(), balance, status & ~FROZEN, freezes);
        vm.assertTrue(word.isCustomer() == (status & VERIFIED != 0 && status & FROZEN == 0));
    }

    // Rules

    struct Rules {
        uint16 required;
        uint16 forbidden;
        uint8 stops;
        bool hooked;
        uint32 stopCount;
        address feed;
    }

    function pack(Rules memory r) private pure returns (RulesWord) {
        return RulesWord.wrap(
            uint256(r.required) | (uint256(r.forbidden) << 16) | (uint256(r.stops) << 32) | (r.hooked ? 1 << 40 : 0)
                | (uint256(r.stopCount) << 64) | (uint256(uint160(r.feed)) << 96)
        );
    }

    function same(RulesWord word, Rules memory r) private pure {
        vm.assertEq(word.required(), r.required);
        vm.assertEq(word.forbidden(), r.forbidden);
        vm.assertEq(word.stops(), r.stops);
        vm.assertTrue(word.isHooked() == r.hooked);
        vm.assertEq(word.stopCount(), r.stopCount);
        vm.assertEq(word.feed(), r.feed);
        vm.assertEq(bytes32(RulesWord.unwrap(word)), bytes32(RulesWord.unwrap(pack(r))));
    }

    function testFuzz_rules(Rules memory r, Rules memory next) public pure {
        r.stops &= ALL_STOPS;
        next.stops &= ALL_STOPS;
        r.stopCount %= type(uint32).max;
        RulesWord word = pack(r);
        same(word, r);
        (uint16 required, uint16 forbidden) = (r.required, r.forbidden);
        (r.required, r.forbidden) = (next.required, next.forbidden);
        same(word.withPolicy(next.required, next.forbidden), r);
        (r.required, r.forbidden) = (required, forbidden);

        uint8 stops = r.stops;
        r.stops = stops | next.stops;
        r.stopCount += 1;
        same(word.stopped(next.stops), r);
        r.stopCount -= 1;
        r.stops = stops & ~next.stops;
        same(word.resumed(next.stops), r);
        r.stops = stops;

        bool hooked = r.hooked;
        r.hooked = next.hooked;
        same(word.withHooked(next.hooked), r);
        r.hooked = hooked;
        r.feed = next.feed;
        same(word.withFeed(next.feed), r);
    }

    function testFuzz_a_transfer_is_clear_when_nothing_stands_against_it(
        Rules memory r,
        uint72 balance,
        uint16 left,
        uint16 right,
        uint72 value
    ) public pure {
        RulesWord word = pack(r);
        AccountWord sender = account(balance, left, 3);
        AccountWord recipient = account(5, right, 0);
        bool leftAllowed = left & r.required == r.required && left & r.forbidden & ~r.required == 0;
        bool rightAllowed = right & r.required == r.required && right & r.forbidden & ~r.required == 0;
        vm.assertTrue(word.allows(sender) == leftAllowed);
        vm.assertTrue(word.allows(recipient) == rightAllowed);
        bool clear = leftAllowed && rightAllowed && value <= balance && r.stops & 1 == 0 && !r.hooked;
        vm.assertTrue(word.clears(sender, recipient, value) == clear);
    }

    // Totals, orders, reports

    function testFuzz_totals(uint72 supply, uint72 redeemed, uint32 next, uint72 value, uint32 count) public pure {
        TotalsWord word = TotalsWord.wrap(supply | (uint256(redeemed) << 96) | (uint256(next) << 192));
        vm.assertEq(word.supply(), supply);
        vm.assertEq(word.redeemed(), redeemed);
        vm.assertEq(word.nextNumber(), next);
        TotalsWord more = word.minted(value, count);
        vm.assertEq(more.supply(), uint256(supply) + value);
        vm.assertEq(more.redeemed(), redeemed);
        vm.assertEq(more.nextNumber(), uint256(next) + count);
        uint256 burned = value % (uint256(supply) + 1);
        TotalsWord less = word.burned(burned);
        vm.assertEq(less.supply(), supply - burned);
        vm.assertEq(less.redeemed(), redeemed + burned);
        vm.assertEq(less.nextNumber(), next);
    }

    function testFuzz_order(address recipient, uint96 value) public pure {
        Order order = Order.wrap((uint256(uint160(recipient)) << 96) | value);
        vm.assertEq(order.recipient(), recipient);
        vm.assertEq(order.value(), value);
    }

    function testFuzz_backing(uint72 reserve, uint72 paid, uint72 credited, uint40 asOf) public pure {
        BackingWord word = toBackingWord(reserve, paid, credited, asOf);
        vm.assertEq(word.reserve(), reserve);
        vm.assertEq(word.paid(), paid);
        vm.assertEq(word.credited(), credited);
        vm.assertEq(word.asOf(), asOf);
    }

    // Buckets, against a model in plain numbers

    struct Bucket {
        uint64 capacity;
        uint64 refill;
        uint64 level;
        uint24 version;
    }

    function bucket(Bucket memory b, uint40 time) private pure returns (BucketWord) {
        return BucketWord.wrap(
            uint256(b.level) | (uint256(time) << 64) | (uint256(b.refill) << 104) | (uint256(b.capacity) << 168)
                | (uint256(b.version) << 232)
        );
    }

    function testFuzz_bucket(Bucket memory b, uint40 time, uint40 elapsed, uint64 value, uint64 capacity, uint64 refill)
        public
        pure
    {
        time /= 2;
        elapsed /= 2;
        b.version %= type(uint24).max;
        if (b.level > b.capacity) b.level = b.capacity;
        uint256 refilled = uint256(b.level) + uint256(b.refill) * elapsed;
        uint256 level = refilled < b.capacity ? refilled : b.capacity;

        BucketWord word = bucket(b, time).settled(time + elapsed);
        _same(word, level, b.capacity, b.refill, b.version);
        vm.assertEq(word.settled(time + elapsed).level(), level);
        uint256 taken = value % (level + 1);
        _same(word.taken(taken), level - taken, b.capacity, b.refill, b.version);
        _same(word.filled(), b.capacity, b.capacity, b.refill, b.version);
        // The settled time is kept: nothing refills twice.
        vm.assertEq(word.taken(taken).settled(time + elapsed).level(), level - taken);
        _sameChanged(word, level, capacity, refill, b.version);
    }

    function _sameChanged(BucketWord word, uint256 level, uint64 capacity, uint64 refill, uint24 version) private pure {
        uint256 kept = level < capacity ? level : capacity;
        _same(word.changed(capacity, refill), kept, capacity, capacity == 0 ? 0 : refill, version + 1);
    }

    function _same(BucketWord word, uint256 level, uint256 capacity, uint256 refill, uint256 version) private pure {
        vm.assertEq(word.level(), level);
        vm.assertEq(word.capacity(), capacity);
        vm.assertEq(word.refill(), refill);
        vm.assertEq(word.version(), version);
        vm.assertTrue(word.isOpen() == (capacity != 0));
    }
}
