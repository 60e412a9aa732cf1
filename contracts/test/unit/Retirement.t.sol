// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {OffshoreYuan} from "../../OffshoreYuan.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {ISlowActs} from "../../interfaces/ISlowActs.sol";
import {ALL_STOPS, STOP_MINT, STOP_REDEEM, STOP_TRANSFER} from "../../types/RulesWord.sol";
import {create} from "../support/Code.sol";
import {CNH, Deployed} from "../support/Deployed.sol";
import {FalseToken, PlainToken} from "../support/Tokens.sol";
import {vm} from "../support/Vm.sol";

/// @dev The end of the token, its papers, and what was sent to it by mistake.
contract RetirementTest is Deployed {
    address private next;

    function setUp() public override {
        super.setUp();
        endow(alice, 100 * CNH);
        next = create("OffshoreYuan", abi.encode(authority, address(feed), DELAY));
    }

    function refused(bytes memory act, bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(admin);
        token.propose(act);
    }

    function resume(uint8 stops) private view returns (bytes memory) {
        (,,, uint32 count,) = token.rules();
        return abi.encodeCall(token.resume, (stops, count));
    }

    // Retire

    function test_a_retired_token_never_mints_again() public {
        bytes memory act = abi.encodeCall(token.retire, (next));
        propose(token, act);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Stopped(STOP_MINT, 1);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Retired(next);
        accept(token, act);
        vm.assertEq(token.successor(), next);

        attest(200 * CNH, 200 * CNH, 0);
        mintRefused(alice, CNH, abi.encodeWithSelector(IOffshoreYuan.ActStopped.selector, STOP_MINT));
        bytes memory refusal = abi.encodeWithSelector(IOffshoreYuan.AlreadyRetired.selector, next);
        refused(resume(STOP_MINT), refusal);
        refused(abi.encodeCall(token.retire, (address(feed))), refusal);
        vm.prank(admin);
        (bool bound,) = address(token).call(abi.encodeCall(token.bind, (mallory)));
        vm.assertFalse(bound);
    }

    function test_transfers_and_redemptions_go_on_and_their_stops_can_be_lifted() public {
        slowly(token, abi.encodeCall(token.retire, (next)));
        stop(STOP_TRANSFER | STOP_REDEEM);
        refused(resume(ALL_STOPS), abi.encodeWithSelector(IOffshoreYuan.AlreadyRetired.selector, next));
        slowly(token, resume(STOP_TRANSFER | STOP_REDEEM));
        vm.prank(alice);
        token.transfer(bob, CNH);
        vm.prank(alice);
        token.redeem(99 * CNH, 0);
        vm.prank(bob);
        token.redeem(CNH, 0);
        vm.assertEq(token.totalSupply(), 0);
    }

    function test_a_resume_of_mint_that_waits_is_out_of_date_once_it_is_retired() public {
        stop(STOP_MINT);
        bytes memory lift = resume(STOP_MINT);
        propose(token, lift);
        slowly(token, abi.encodeCall(token.retire, (next)));
        vm.expectRevert(ISlowActs.OutOfDate.selector);
        accept(token, lift);
    }

    function test_a_successor_is_another_contract() public {
        address[3] memory none = [address(0), mallory, address(token)];
        for (uint256 i = 0; i < none.length; ++i) {
            refused(
                abi.encodeCall(token.retire, (none[i])),
                abi.encodeWithSelector(IOffshoreYuan.InvalidSuccessor.selector, none[i])
            );
        }
    }

    // ERC-7572

    function test_the_papers_say_sandbox_until_they_are_set() public {
        string memory first = token.contractURI();
        vm.assertEq(
            first,
            'data:application/json;utf8,{"name":"Offshore Yuan Sandbox","licence":"SANDBOX","whitePaper":"SANDBOX","terms":"SANDBOX"}'
        );
        bytes memory act =
            abi.encodeCall(token.setContractURI, (keccak256(bytes(first)), "https://issuer.example/papers.json"));
        propose(token, act);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.ContractURIUpdated();
        accept(token, act);
        vm.assertEq(token.contractURI(), "https://issuer.example/papers.json");
        refused(act, abi.encodeWithSelector(ISlowActs.OutOfDate.selector));
    }

    // Rescue

    function test_foreign_tokens_are_passed_on() public {
        PlainToken foreign = new PlainToken();
        foreign.mint(address(token), 5);
        bytes memory act = abi.encodeCall(token.rescue, (IERC20(address(foreign)), bob, 5));
        propose(token, act);
        vm.assertEq(foreign.balanceOf(bob), 0);
        vm.warp(block.timestamp + DELAY);
        vm.expectEmit(address(token));
        emit IOffshoreYuan.Rescued(address(foreign), bob, 5);
        accept(token, act);
        vm.assertEq(foreign.balanceOf(bob), 5);
    }

    function test_a_token_that_says_no_is_not_taken_for_yes() public {
        FalseToken foreign = new FalseToken();
        foreign.mint(address(token), 5);
        refused(
            abi.encodeCall(token.rescue, (IERC20(address(foreign)), bob, 5)),
            abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(foreign))
        );
    }

    function test_the_tokens_own_are_not_foreign() public {
        refused(
            abi.encodeCall(token.rescue, (IERC20(address(token)), bob, 0)),
            abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(token))
        );
    }
}
