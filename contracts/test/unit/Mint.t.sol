// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Minter} from "../../Minter.sol";
import {OffshoreYuan} from "../../OffshoreYuan.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {FROZEN, VERIFIED} from "../../types/AccountWord.sol";
import {Order} from "../../types/Order.sol";
import {STOP_MINT, STOP_REDEEM, STOP_TRANSFER} from "../../types/RulesWord.sol";
import {create} from "../support/Code.sol";
import {CNH, Deployed, FEN} from "../support/Deployed.sol";
import {vm} from "../support/Vm.sol";

contract MintTest is Deployed {
    function test_a_mint_without_any_report_is_refused() public {
        mintRefused(alice, 1, abi.encodeWithSelector(IOffshoreYuan.ReportTooOld.selector, 0));
    }

    function test_a_mint_without_a_feed_is_refused() public {
        OffshoreYuan orphan = OffshoreYuan(create("OffshoreYuan", abi.encode(authority, address(0), DELAY)));
        Minter itsMinter = Minter(create("Minter", abi.encode(authority, orphan, MINTING_KEY, DELAY)));
        bytes memory bind = abi.encodeCall(orphan.bind, (address(itsMinter)));
        vm.prank(admin);
        authority.execute(address(orphan), bind);
        address[] memory holders = one(alice);
        vm.prank(admin);
        authority.execute(address(orphan), abi.encodeCall(orphan.verify, (holders)));

        vm.expectRevert();
        vm.prank(address(itsMinter));
        orphan.mint(1, ROOT, orders(alice, 1));
    }

    function test_a_batch_mints_each_order_and_says_so() public {
        attest(60 * CNH, 60 * CNH, 0);
        Order[] memory batch = new Order[](3);
        batch[0] = order(alice, 10 * CNH);
        batch[1] = order(bob, 20 * CNH);
        batch[2] = order(alice, 30 * CNH);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(address(0), alice, 10 * CNH);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(address(0), bob, 20 * CNH);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(address(0), alice, 30 * CNH);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Minted(1, 3, ROOT);
        vm.prank(address(minter));
        vm.assertEq(token.mint(1, ROOT, batch), 60 * CNH);

        vm.assertEq(token.balanceOf(alice), 40 * CNH);
        vm.assertEq(token.balanceOf(bob), 20 * CNH);
        vm.assertEq(token.totalSupply(), 60 * CNH);
        vm.assertEq(token.nextNumber(), 4);
    }

    function test_only_the_minter_mints() public {
        attest(CNH, CNH, 0);
        address[5] memory others = [alice, sender, admin, guardian, address(token)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.NotMinter.selector, others[i]));
            vm.prank(others[i]);
            token.mint(1, ROOT, orders(alice, CNH));
        }
    }

    function test_a_number_mints_once_and_none_is_left_out() public {
        attest(10 * CNH, 10 * CNH, 0);
        mint(alice, CNH);
        uint64[3] memory wrong = [uint64(0), 1, 3];
        for (uint256 i = 0; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.WrongNumber.selector, wrong[i], 2));
            vm.prank(address(minter));
            token.mint(wrong[i], ROOT, orders(alice, CNH));
        }
    }

    function test_an_empty_batch_is_refused() public {
        attest(CNH, CNH, 0);
        vm.expectRevert(IOffshoreYuan.EmptyBatch.selector);
        vm.prank(address(minter));
        token.mint(1, ROOT, new Order[](0));
    }

    function test_an_order_of_nothing_is_refused() public {
        attest(CNH, CNH, 0);
        mintRefused(alice, 0, abi.encodeWithSelector(IOffshoreYuan.ZeroValue.selector));
    }

    function test_recipients_are_verified_and_not_frozen_whatever_the_policy() public {
        slowly(token, abi.encodeCall(token.setPolicy, (VERIFIED, FROZEN, 0, FROZEN)));
        attest(CNH, CNH, 0);
        mintRefused(mallory, CNH, abi.encodeWithSelector(IOffshoreYuan.AccountNotVerified.selector, mallory));
        freeze(alice);
        mintRefused(alice, CNH, abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, alice));
    }

    function test_one_refused_order_refuses_the_batch() public {
        attest(10 * CNH, 10 * CNH, 0);
        Order[] memory batch = new Order[](2);
        batch[0] = order(alice, CNH);
        batch[1] = order(mallory, CNH);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.AccountNotVerified.selector, mallory));
        vm.prank(address(minter));
        token.mint(1, ROOT, batch);
        vm.assertEq(token.balanceOf(alice), 0);
        vm.assertEq(token.nextNumber(), 1);
    }

    function test_a_stop_of_mints_stops_mints_and_other_stops_do_not() public {
        attest(10 * CNH, 10 * CNH, 0);
        stop(STOP_TRANSFER | STOP_REDEEM);
        mint(alice, CNH);
        stop(STOP_MINT);
        mintRefused(alice, CNH, abi.encodeWithSelector(IOffshoreYuan.ActStopped.selector, STOP_MINT));
    }

    // The gate, to the unit and to the second

    function test_the_reserve_bounds_what_is_outstanding() public {
        attest(100 * CNH, 200 * CNH, 0);
        mint(alice, 60 * CNH);
        mintRefused(
            bob, 40 * CNH + 1, abi.encodeWithSelector(IOffshoreYuan.Unbacked.selector, 100 * CNH + 1, 100 * CNH)
        );
        mint(bob, 40 * CNH);
        mintRefused(bob, 1, abi.encodeWithSelector(IOffshoreYuan.Unbacked.selector, 100 * CNH + 1, 100 * CNH));
    }

    function test_one_batch_is_summed_before_the_gate() public {
        attest(100 * CNH, 100 * CNH, 0);
        Order[] memory batch = new Order[](2);
        batch[0] = order(alice, 60 * CNH);
        batch[1] = order(alice, 40 * CNH + 1);
        vm.expectRevert(abi.encodeWithSelector(IOffshoreYuan.Unbacked.selector, 100 * CNH + 1, 100 * CNH));
        vm.prank(address(minter));
        token.mint(1, ROOT, batch);
    }

    function test_an_unpaid_redemption_still_needs_its_money() public {
        attest(100 * CNH, 200 * CNH, 0);
        mint(alice, 100 * CNH);
        vm.prank(alice);
        token.redeem(30 * CNH, 0);
        vm.assertEq(token.liabilities(), 100 * CNH);
        mintRefused(bob, 1, abi.encodeWithSelector(IOffshoreYuan.Unbacked.selector, 100 * CNH + 1, 100 * CNH));

        attest(70 * CNH + 5, 200 * CNH, 30 * CNH);
        vm.assertEq(token.liabilities(), 70 * CNH);
        mint(bob, 5);
        mintRefused(bob, 1, abi.encodeWithSelector(IOffshoreYuan.Unbacked.selector, 70 * CNH + 6, 70 * CNH + 5));
    }

    function test_a_yuan_mints_once_even_when_the_reserve_holds_more() public {
        attest(1000 * CNH, 100 * CNH, 0);
        mint(alice, 100 * CNH);
        vm.prank(alice);
        token.redeem(100 * CNH, 0);
        attest(1000 * CNH, 100 * CNH, 100 * CNH);
        mintRefused(alice, 1, abi.encodeWithSelector(IOffshoreYuan.NotCredited.selector, 100 * CNH + 1, 100 * CNH));
    }

    function test_a_double_payout_stops_minting() public {
        attest(1000 * CNH, 1000 * CNH, 0);
        mint(alice, 100 * CNH);
        vm.prank(alice);
        token.redeem(10 * CNH, 0);
        attest(980 * CNH, 1000 * CNH, 20 * CNH);
        mintRefused(alice, 1, abi.encodeWithSelector(IOffshoreYuan.PaidTwice.selector, 20 * CNH, 10 * CNH));
        vm.assertEq(token.liabilities(), 90 * CNH);
    }

    function test_a_report_backs_mints_until_it_is_too_old() public {
        attest(10 * CNH, 10 * CNH, 0);
        uint256 asOf = block.timestamp;
        vm.warp(asOf + token.reportAge());
        mint(alice, CNH);
        vm.warp(asOf + token.reportAge() + 1);
        mintRefused(alice, CNH, abi.encodeWithSelector(IOffshoreYuan.ReportTooOld.selector, asOf));

        vm.prank(alice);
        token.redeem(FEN, 0);
        vm.prank(alice);
        token.transfer(bob, FEN);
    }

    function test_a_lower_report_age_counts_at_once() public {
        slowly(token, abi.encodeCall(token.setReportAge, (1 days, 1 hours)));
        attest(10 * CNH, 10 * CNH, 0);
        vm.warp(block.timestamp + 1 hours + 1);
        mintRefused(
            alice, CNH, abi.encodeWithSelector(IOffshoreYuan.ReportTooOld.selector, block.timestamp - 1 hours - 1)
        );
    }
}
