// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReserveFeed} from "../../ReserveFeed.sol";
import {IAggregatorV3} from "../../interfaces/IAggregatorV3.sol";
import {IAuthority} from "../../interfaces/IAuthority.sol";
import {IReserveFeed} from "../../interfaces/IReserveFeed.sol";
import {ISlowActs} from "../../interfaces/ISlowActs.sol";
import {BackingWord} from "../../types/BackingWord.sol";
import {create} from "../support/Code.sol";
import {CNH, Deployed} from "../support/Deployed.sol";
import {Agreeable, Wallet} from "../support/Doubles.sol";
import {vm} from "../support/Vm.sol";

contract ReserveFeedTest is Deployed {
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 private constant WALLET_KEY = 0xBA9;

    function posts(IReserveFeed.Report memory message) private {
        feed.post(message, sign(message));
    }

    function refuses(IReserveFeed.Report memory message, bytes[] memory signatures, bytes memory refusal) private {
        vm.expectRevert(refusal);
        feed.post(message, signatures);
    }

    function refuses(IReserveFeed.Report memory message, bytes memory refusal) private {
        refuses(message, sign(message), refusal);
    }

    function version() private view returns (uint32 version_) {
        (,, version_) = feed.attestorSet();
    }

    function remove(address by, address attestor) private {
        vm.prank(by);
        feed.removeAttestor(attestor);
    }

    // Reports

    function test_a_report_is_stored_bit_for_bit_and_said() public {
        IReserveFeed.Report memory message = report(type(uint72).max, type(uint72).max - 1, type(uint72).max - 2);
        message.number = 41;
        message.logSize = 17;
        vm.expectEmit(address(feed));
        emit IReserveFeed.ReportPosted(
            41, message.reserve, message.paid, message.credited, message.asOf, message.logRoot, 17
        );
        vm.prank(mallory);
        posts(message);
        vm.assertEq(abi.encode(feed.latestReport()), abi.encode(message));
        BackingWord word = feed.backing();
        vm.assertEq(word.reserve(), message.reserve);
        vm.assertEq(word.paid(), message.paid);
        vm.assertEq(word.credited(), message.credited);
        vm.assertEq(word.asOf(), message.asOf);
    }

    function testFuzz_any_report_is_stored_bit_for_bit(uint72 reserve, uint72 paid, uint72 credited, uint64 logSize)
        public
    {
        IReserveFeed.Report memory message = report(reserve, credited, paid);
        message.logSize = logSize;
        posts(message);
        vm.assertEq(abi.encode(feed.latestReport()), abi.encode(message));
    }

    function test_an_amount_too_large_for_its_place_is_refused() public {
        uint256 tooLarge = uint256(type(uint72).max) + 1;
        bytes memory refusal = abi.encodeWithSelector(IReserveFeed.AmountTooLarge.selector, tooLarge);
        refuses(report(tooLarge, 0, 0), refusal);
        refuses(report(0, tooLarge, 0), refusal);
        refuses(report(0, 0, tooLarge), refusal);
    }

    function test_a_report_is_not_posted_twice_nor_an_older_one_after_it() public {
        IReserveFeed.Report memory older = report(CNH, CNH, 0);
        IReserveFeed.Report memory newer = report(CNH, CNH, 0);
        vm.warp(block.timestamp + 1);
        newer.asOf = uint64(block.timestamp);
        posts(newer);
        refuses(newer, abi.encodeWithSelector(IReserveFeed.StaleNumber.selector, newer.number, newer.number));
        refuses(older, abi.encodeWithSelector(IReserveFeed.StaleNumber.selector, older.number, newer.number));
    }

    function test_as_of_grows_and_is_not_in_the_future() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        message.asOf = uint64(block.timestamp) + 1;
        refuses(message, abi.encodeWithSelector(IReserveFeed.InvalidAsOf.selector, message.asOf, 0, block.timestamp));
        attest(CNH, CNH, 0);
        message = report(CNH, CNH, 0);
        refuses(
            message,
            abi.encodeWithSelector(IReserveFeed.InvalidAsOf.selector, message.asOf, block.timestamp, block.timestamp)
        );
    }

    function test_a_report_on_another_token_is_refused() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        message.token = address(0x70);
        refuses(message, abi.encodeWithSelector(IReserveFeed.WrongToken.selector, message.token));
    }

    function test_a_report_signed_for_another_chain_or_feed_is_refused() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes[] memory signatures = sign(message);
        vm.chainId(999);
        vm.expectRevert();
        feed.post(message, signatures);
        vm.chainId(31337);

        ReserveFeed other = ReserveFeed(create("ReserveFeed", abi.encode(authority, ATTESTOR, DELAY)));
        vm.assertFalse(other.digestOf(message) == feed.digestOf(message));
        feed.post(message, signatures);
    }

    function test_a_feed_bound_to_no_token_takes_nothing() public {
        ReserveFeed unbound = ReserveFeed(create("ReserveFeed", abi.encode(authority, ATTESTOR, DELAY)));
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        message.token = address(0);
        vm.expectRevert(abi.encodeWithSelector(IReserveFeed.WrongToken.selector, address(0)));
        unbound.post(message, new bytes[](0));
    }

    function test_the_log_never_shrinks_nor_changes() public {
        attest(CNH, CNH, 0);
        vm.warp(block.timestamp + 1);
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        message.logSize = 0;
        refuses(message, abi.encodeWithSelector(IReserveFeed.LogRewritten.selector, 0, 1));
        message.logSize = 1;
        refuses(message, abi.encodeWithSelector(IReserveFeed.LogRewritten.selector, 1, 1));
        message.logRoot = feed.latestReport().logRoot;
        posts(message);
    }

    function test_the_first_report_may_be_of_an_empty_log() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        message.logSize = 0;
        posts(message);
        vm.warp(block.timestamp + 1);
        IReserveFeed.Report memory second = report(CNH, CNH, 0);
        second.logSize = 0;
        refuses(second, abi.encodeWithSelector(IReserveFeed.LogRewritten.selector, 0, 0));
        second.logRoot = message.logRoot;
        posts(second);
    }

    function test_anyone_else_cannot_have_changed_a_figure() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes[] memory signatures = sign(message);
        message.reserve += 1;
        vm.expectPartialRevert(IReserveFeed.NotAnAttestor.selector);
        feed.post(message, signatures);
    }

    // Signatures

    function test_a_quorum_must_sign() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes[] memory signatures = new bytes[](1);
        signatures[0] = signBy(attestorKeys[0], message);
        refuses(message, signatures, abi.encodeWithSelector(IReserveFeed.TooFewSignatures.selector, 1, 2));
        refuses(message, new bytes[](0), abi.encodeWithSelector(IReserveFeed.TooFewSignatures.selector, 0, 2));
    }

    function test_signers_ascend_so_that_none_counts_twice() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes[] memory signatures = sign(message);
        (address low, address high) = (vm.addr(attestorKeys[0]), vm.addr(attestorKeys[1]));
        (signatures[0], signatures[1]) = (signatures[1], signatures[0]);
        refuses(message, signatures, abi.encodeWithSelector(IReserveFeed.SignersNotAscending.selector, low, high));
        signatures[1] = signatures[0];
        refuses(message, signatures, abi.encodeWithSelector(IReserveFeed.SignersNotAscending.selector, high, high));
    }

    function test_a_stranger_does_not_sign() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes[] memory signatures = sign(message);
        signatures[1] = signBy(WALLET_KEY, message);
        refuses(message, signatures, abi.encodeWithSelector(IReserveFeed.NotAnAttestor.selector, vm.addr(WALLET_KEY)));
        signatures[1] = "no signature";
        refuses(message, signatures, abi.encodeWithSelector(IReserveFeed.InvalidSignature.selector, 1));
        signatures[1] = abi.encodePacked(vm.addr(attestorKeys[1]), "still no signature");
        refuses(message, signatures, abi.encodeWithSelector(IReserveFeed.InvalidSignature.selector, 1));
    }

    function test_the_other_form_of_a_signature_is_refused() public {
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes[] memory signatures = sign(message);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(attestorKeys[1], feed.digestOf(message));
        signatures[1] = abi.encodePacked(r, CURVE_ORDER - uint256(s), v == 27 ? 28 : 27);
        refuses(message, signatures, abi.encodeWithSelector(IReserveFeed.InvalidSignature.selector, 1));
    }

    function test_an_attestor_with_delegated_code_still_signs() public {
        vm.etch(vm.addr(attestorKeys[0]), abi.encodePacked(hex"ef0100", address(token)));
        attest(CNH, CNH, 0);
        vm.assertEq(feed.backing().reserve(), CNH);
    }

    function test_a_contract_may_attest() public {
        Wallet wallet = new Wallet(WALLET_KEY);
        slowly(feed, abi.encodeCall(feed.addAttestor, (version(), address(wallet))));
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes memory its = abi.encodePacked(address(wallet), signBy(WALLET_KEY, message));
        bytes memory banks = signBy(attestorKeys[0], message);
        bool walletFirst = address(wallet) < vm.addr(attestorKeys[0]);
        bytes[] memory signatures = new bytes[](2);
        (signatures[0], signatures[1]) = walletFirst ? (its, banks) : (banks, its);
        feed.post(message, signatures);
        vm.assertEq(feed.backing().reserve(), CNH);

        vm.warp(block.timestamp + 1);
        message = report(2 * CNH, CNH, 0);
        its = abi.encodePacked(address(wallet), signBy(attestorKeys[1], message));
        banks = signBy(attestorKeys[0], message);
        (signatures[0], signatures[1]) = walletFirst ? (its, banks) : (banks, its);
        refuses(
            message, signatures, abi.encodeWithSelector(IReserveFeed.InvalidSignature.selector, walletFirst ? 0 : 1)
        );
    }

    /// @dev What a contract wants to see is its own affair, down to nothing at all.
    function test_a_contract_may_attest_without_a_signature() public {
        address agreeable = address(new Agreeable());
        slowly(feed, abi.encodeCall(feed.addAttestor, (version(), agreeable)));
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        bytes memory banks = signBy(attestorKeys[0], message);
        bytes[] memory signatures = new bytes[](2);
        (signatures[0], signatures[1]) = agreeable < vm.addr(attestorKeys[0])
            ? (abi.encodePacked(agreeable), banks)
            : (banks, abi.encodePacked(agreeable));
        feed.post(message, signatures);
        vm.assertEq(feed.backing().reserve(), CNH);
    }

    // The set of attestors

    function test_a_feed_is_bound_once() public {
        address[] memory set = attestors();
        vm.expectRevert(abi.encodeWithSelector(IReserveFeed.AlreadyBound.selector, address(token)));
        vm.prank(admin);
        feed.bind(address(token), set, 2);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, mallory, feed.bind.selector));
        vm.prank(mallory);
        feed.bind(address(token), set, 2);

        ReserveFeed fresh = ReserveFeed(create("ReserveFeed", abi.encode(authority, ATTESTOR, DELAY)));
        vm.expectRevert(abi.encodeWithSelector(IReserveFeed.InvalidToken.selector, address(0)));
        vm.prank(admin);
        fresh.bind(address(0), set, 2);
    }

    function test_attestors_are_marked() public view {
        address[] memory set = attestors();
        for (uint256 i = 0; i < set.length; ++i) {
            vm.assertTrue(feed.isAttestor(set[i]));
            (bool marked,) = authority.hasRole(ATTESTOR, set[i]);
            vm.assertTrue(marked);
        }
        (uint8 quorum, uint8 count, uint32 version_) = feed.attestorSet();
        vm.assertEq(quorum, 2);
        vm.assertEq(count, 2);
        vm.assertEq(version_, 3);
    }

    function test_an_attestor_is_added_slowly() public {
        vm.expectEmit(address(feed));
        emit IReserveFeed.AttestorAdded(carol, 4);
        slowly(feed, abi.encodeCall(feed.addAttestor, (3, carol)));
        vm.assertTrue(feed.isAttestor(carol));
        (bool marked,) = authority.hasRole(ATTESTOR, carol);
        vm.assertTrue(marked);
    }

    function test_an_attestor_is_replaced_slowly() public {
        address old = vm.addr(attestorKeys[0]);
        slowly(feed, abi.encodeCall(feed.replaceAttestor, (3, old, vm.addr(WALLET_KEY))));
        vm.assertFalse(feed.isAttestor(old));
        vm.assertTrue(feed.isAttestor(vm.addr(WALLET_KEY)));
        (bool marked,) = authority.hasRole(ATTESTOR, old);
        vm.assertFalse(marked);
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        refuses(message, abi.encodeWithSelector(IReserveFeed.NotAnAttestor.selector, old));
    }

    function test_removing_is_instant_and_never_below_the_quorum() public {
        address bank = vm.addr(attestorKeys[0]);
        vm.expectRevert(abi.encodeWithSelector(IReserveFeed.InvalidQuorum.selector, 2, 1));
        remove(guardian, bank);

        slowly(feed, abi.encodeCall(feed.addAttestor, (3, carol)));
        slowly(feed, abi.encodeCall(feed.addAttestor, (4, bob)));
        vm.expectEmit(address(feed));
        emit IReserveFeed.AttestorRemoved(bank, 6);
        remove(guardian, bank);
        vm.assertFalse(feed.isAttestor(bank));
        (bool marked,) = authority.hasRole(ATTESTOR, bank);
        vm.assertFalse(marked);
        remove(admin, bob);
        vm.expectRevert(abi.encodeWithSelector(IReserveFeed.NotAnAttestor.selector, bank));
        remove(admin, bank);
        vm.expectRevert(abi.encodeWithSelector(ISlowActs.NotAllowed.selector, sender, feed.removeAttestor.selector));
        remove(sender, carol);
    }

    function test_a_removal_makes_waiting_changes_go_out_of_date() public {
        slowly(feed, abi.encodeCall(feed.addAttestor, (3, carol)));
        bytes memory act = abi.encodeCall(feed.addAttestor, (4, bob));
        propose(feed, act);
        remove(guardian, carol);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(ISlowActs.OutOfDate.selector);
        accept(feed, act);
    }

    function test_changes_name_the_present_set() public {
        bytes[3] memory acts = [
            abi.encodeCall(feed.addAttestor, (2, carol)),
            abi.encodeCall(feed.replaceAttestor, (4, vm.addr(attestorKeys[0]), carol)),
            abi.encodeCall(feed.setQuorum, (0, 2))
        ];
        for (uint256 i = 0; i < acts.length; ++i) {
            vm.expectRevert(ISlowActs.OutOfDate.selector);
            propose(feed, acts[i]);
        }
    }

    function test_who_cannot_attest() public {
        vm.expectRevert(abi.encodeWithSelector(IReserveFeed.AlreadyAttestor.selector, vm.addr(attestorKeys[0])));
        propose(feed, abi.encodeCall(feed.addAttestor, (3, vm.addr(attestorKeys[0]))));
        vm.expectRevert(abi.encodeWithSelector(IReserveFeed.InvalidAttestor.selector, address(0)));
        propose(feed, abi.encodeCall(feed.addAttestor, (3, address(0))));
        vm.expectRevert(
            abi.encodeWithSelector(IAuthority.RolesConflict.selector, sender, ATTESTOR, uint256(1) << MINTING_KEY)
        );
        propose(feed, abi.encodeCall(feed.addAttestor, (3, sender)));
    }

    function test_a_quorum_is_at_least_two_and_at_most_all() public {
        uint8[3] memory wrong = [0, 1, 3];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IReserveFeed.InvalidQuorum.selector, wrong[i], 2));
            propose(feed, abi.encodeCall(feed.setQuorum, (3, wrong[i])));
        }
        slowly(feed, abi.encodeCall(feed.addAttestor, (3, carol)));
        bytes memory act = abi.encodeCall(feed.setQuorum, (4, 3));
        waitFor(feed, act);
        vm.expectEmit(address(feed));
        emit IReserveFeed.QuorumSet(3, 5);
        accept(feed, act);
        vm.assertEq(version(), 5);
        IReserveFeed.Report memory message = report(CNH, CNH, 0);
        refuses(message, abi.encodeWithSelector(IReserveFeed.TooFewSignatures.selector, 2, 3));
    }

    function test_no_change_of_the_set_in_one_step() public {
        bytes[3] memory acts = [
            abi.encodeCall(feed.addAttestor, (3, carol)),
            abi.encodeCall(feed.replaceAttestor, (3, vm.addr(attestorKeys[0]), carol)),
            abi.encodeCall(feed.setQuorum, (3, 2))
        ];
        for (uint256 i = 0; i < acts.length; ++i) {
            vm.prank(admin);
            (bool done, bytes memory refusal) = address(feed).call(acts[i]);
            vm.assertFalse(done);
            vm.assertEq(refusal, abi.encodeWithSelector(ISlowActs.OnlyBySlowAct.selector));
        }
    }

    // As an aggregator

    function test_it_reads_as_a_chainlink_aggregator() public {
        vm.expectRevert(abi.encodeWithSelector(IAggregatorV3.NoSuchRound.selector, 0));
        feed.latestRoundData();
        attest(3 * CNH, CNH, 0);
        (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) = feed.latestRoundData();
        vm.assertEq(id, 1);
        vm.assertEq(answer, int256(3 * CNH));
        vm.assertEq(startedAt, block.timestamp);
        vm.assertEq(updatedAt, block.timestamp);
        vm.assertEq(answeredIn, 1);
        vm.assertEq(feed.decimals(), token.decimals());
        feed.getRoundData(1);
        vm.expectRevert(abi.encodeWithSelector(IAggregatorV3.NoSuchRound.selector, 2));
        feed.getRoundData(2);
    }
}
