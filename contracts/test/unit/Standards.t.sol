// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC3009, IERC3009Cancel} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Signing} from "../support/Signing.sol";
import {vm} from "../support/Vm.sol";

/// @dev Answers to isValidSignature as it is told, and counts nothing: it is asked by a static call.
contract Answer is IERC1271 {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        bytes memory answer = _answer;
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }
}

/// @dev Would write when it is asked, which a static call does not let it do.
contract Writer {
    uint256 public asked;

    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        ++asked;
        return IERC1271.isValidSignature.selector;
    }
}

/// @dev What the texts of ERC-20, ERC-2612, ERC-3009, ERC-1271 and ERC-5267 ask of a token, sentence by sentence, through the
/// standards' own interfaces: nothing here knows whose contract it is.
contract StandardsTest is Signing {
    bytes32 private constant NONCE = keccak256("not a sequence");

    IERC20 private coin;
    IERC20Permit private permits;
    IERC3009 private authorizations;

    function setUp() public override {
        super.setUp();
        endow(holder, 100);
        coin = IERC20(address(token));
        permits = IERC20Permit(address(token));
        authorizations = IERC3009(address(token));
    }

    function refuses(address by, bytes memory call) private {
        vm.prank(by);
        (bool done,) = address(coin).call(call);
        vm.assertFalse(done);
    }

    function split(bytes memory signature) private pure returns (uint8 v, bytes32 r, bytes32 s) {
        (r, s) = abi.decode(signature, (bytes32, bytes32));
        v = uint8(signature[64]);
    }

    // ERC-20

    function test_erc20_optional_methods_answer() public view {
        IERC20Metadata described = IERC20Metadata(address(coin));
        vm.assertTrue(bytes(described.name()).length > 0 && bytes(described.symbol()).length > 0);
        vm.assertEq(described.decimals(), 6);
    }

    function test_erc20_transfer_fires_the_event_and_returns_true() public {
        vm.expectEmit(address(coin));
        emit IERC20.Transfer(holder, bob, 40);
        vm.prank(holder);
        vm.assertTrue(coin.transfer(bob, 40));
        vm.assertEq(coin.balanceOf(holder), 60);
        vm.assertEq(coin.balanceOf(bob), 40);
        vm.assertEq(coin.totalSupply(), 100);
    }

    function test_erc20_transfer_throws_without_the_balance() public {
        refuses(holder, abi.encodeCall(coin.transfer, (bob, 101)));
        refuses(bob, abi.encodeCall(coin.transfer, (holder, 1)));
    }

    function test_erc20_transfers_of_0_are_normal_transfers() public {
        vm.expectEmit(address(coin));
        emit IERC20.Transfer(bob, holder, 0);
        vm.prank(bob);
        vm.assertTrue(coin.transfer(holder, 0));
        vm.expectEmit(address(coin));
        emit IERC20.Transfer(holder, bob, 0);
        vm.prank(carol);
        vm.assertTrue(coin.transferFrom(holder, bob, 0));
    }

    function test_erc20_transferFrom_throws_unless_authorized() public {
        refuses(carol, abi.encodeCall(coin.transferFrom, (holder, bob, 1)));
        vm.prank(holder);
        coin.approve(carol, 5);
        refuses(carol, abi.encodeCall(coin.transferFrom, (holder, bob, 6)));
        vm.expectEmit(address(coin));
        emit IERC20.Transfer(holder, bob, 3);
        vm.prank(carol);
        vm.assertTrue(coin.transferFrom(holder, bob, 3));
        vm.assertEq(coin.allowance(holder, carol), 2);
        refuses(carol, abi.encodeCall(coin.transferFrom, (holder, bob, 3)));
    }

    function test_erc20_approve_fires_the_event_and_overwrites() public {
        vm.expectEmit(address(coin));
        emit IERC20.Approval(holder, bob, 7);
        vm.prank(holder);
        vm.assertTrue(coin.approve(bob, 7));
        vm.prank(holder);
        coin.approve(bob, 2);
        vm.assertEq(coin.allowance(holder, bob), 2);
        vm.assertEq(coin.allowance(bob, holder), 0);
    }

    function test_erc20_new_tokens_come_from_the_zero_address() public {
        attest(200, 200, 0);
        vm.expectEmit(address(coin));
        emit IERC20.Transfer(address(0), bob, 1);
        mint(bob, 1);
    }

    // ERC-2612

    function permitBy(uint256 key, address owner, uint256 value, uint256 used, uint256 deadline)
        private
        view
        returns (bytes memory call)
    {
        (uint8 v, bytes32 r, bytes32 s) =
            split(signed(key, digest(abi.encode(PERMIT, owner, bob, value, used, deadline))));
        return abi.encodeCall(permits.permit, (owner, bob, value, deadline, v, r, s));
    }

    function test_erc2612_permit_sets_the_allowance_adds_to_the_nonce_and_emits() public {
        bytes memory call = permitBy(KEY, holder, 7, 0, block.timestamp);
        vm.expectEmit(address(coin));
        emit IERC20.Approval(holder, bob, 7);
        vm.prank(mallory);
        (bool done,) = address(coin).call(call);
        vm.assertTrue(done);
        vm.assertEq(coin.allowance(holder, bob), 7);
        vm.assertEq(permits.nonces(holder), 1);
        refuses(mallory, call);
    }

    function test_erc2612_permit_reverts_if_any_condition_fails() public {
        refuses(bob, permitBy(KEY, holder, 7, 0, block.timestamp - 1));
        refuses(bob, permitBy(KEY, holder, 7, 1, block.timestamp));
        refuses(bob, permitBy(KEY + 1, holder, 7, 0, block.timestamp));
        refuses(bob, abi.encodeCall(permits.permit, (address(0), bob, 7, block.timestamp, 27, 0, 0)));
        vm.assertEq(permits.nonces(holder), 0);
        vm.assertEq(coin.allowance(holder, bob), 0);
    }

    // ERC-3009

    function test_erc3009_transfer_emits_uses_the_nonce_and_moves() public {
        (uint8 v, bytes32 r, bytes32 s) = split(moveOf(TRANSFER, bob, 40, NONCE));
        vm.assertFalse(authorizations.authorizationState(holder, NONCE));
        vm.expectEmit(address(coin));
        emit IERC3009.AuthorizationUsed(holder, NONCE);
        vm.expectEmit(address(coin));
        emit IERC20.Transfer(holder, bob, 40);
        vm.prank(mallory);
        authorizations.transferWithAuthorization(holder, bob, 40, 0, FOREVER, NONCE, v, r, s);
        vm.assertTrue(authorizations.authorizationState(holder, NONCE));
        vm.assertFalse(authorizations.authorizationState(bob, NONCE));
        vm.assertEq(coin.balanceOf(bob), 40);
    }

    function test_erc3009_receive_checks_that_the_payee_calls() public {
        (uint8 v, bytes32 r, bytes32 s) = split(moveOf(RECEIVE, bob, 40, NONCE));
        bytes memory call =
            abi.encodeCall(authorizations.receiveWithAuthorization, (holder, bob, 40, 0, FOREVER, NONCE, v, r, s));
        refuses(mallory, call);
        refuses(holder, call);
        vm.prank(bob);
        (bool done,) = address(coin).call(call);
        vm.assertTrue(done);
        vm.assertEq(coin.balanceOf(bob), 40);
        refuses(bob, call);
    }

    function test_erc3009_nonces_are_used_in_any_order() public {
        for (uint256 i = 3; i > 0; --i) {
            (uint8 v, bytes32 r, bytes32 s) = split(moveOf(TRANSFER, bob, i, bytes32(i)));
            authorizations.transferWithAuthorization(holder, bob, i, 0, FOREVER, bytes32(i), v, r, s);
        }
        vm.assertEq(coin.balanceOf(bob), 6);
    }

    function test_erc3009_cancel_emits_and_the_nonce_is_used() public {
        (uint8 v, bytes32 r, bytes32 s) = split(cancellation(NONCE));
        vm.expectEmit(address(coin));
        emit IERC3009Cancel.AuthorizationCanceled(holder, NONCE);
        IERC3009Cancel(address(coin)).cancelAuthorization(holder, NONCE, v, r, s);
        vm.assertTrue(authorizations.authorizationState(holder, NONCE));
        (v, r, s) = split(moveOf(TRANSFER, bob, 1, NONCE));
        refuses(
            bob, abi.encodeCall(authorizations.transferWithAuthorization, (holder, bob, 1, 0, FOREVER, NONCE, v, r, s))
        );
    }

    // ERC-1271, as who asks

    function accepts(address signer) private returns (bool done) {
        bytes memory call = abi.encodeWithSignature("cancelAuthorization(address,bytes32,bytes)", signer, NONCE, "any");
        (done,) = address(coin).call(call);
    }

    function test_erc1271_only_the_magic_value_is_a_yes() public {
        bytes4 magic = 0x1626ba7e;
        vm.assertTrue(accepts(address(new Answer(abi.encode(magic)))));
        vm.assertFalse(accepts(address(new Answer(abi.encode(bytes4(0xffffffff))))));
        vm.assertFalse(accepts(address(new Answer(abi.encode(true)))));
        vm.assertFalse(accepts(address(new Answer(abi.encodePacked(magic)))));
        vm.assertFalse(accepts(address(new Answer(""))));
        vm.assertFalse(accepts(mallory));
    }

    function test_erc1271_who_is_asked_changes_nothing() public {
        Writer writer = new Writer();
        vm.assertFalse(accepts(address(writer)));
        vm.assertEq(writer.asked(), 0);
    }

    // ERC-5267

    function test_erc5267_the_domain_told_is_the_one_signed_over() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chain, address target, bytes32 salt,) =
            IERC5267(address(coin)).eip712Domain();
        vm.assertEq(uint8(fields), 15);
        vm.assertEq(salt, 0);
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        vm.assertEq(
            keccak256(abi.encode(kind, keccak256(bytes(name)), keccak256(bytes(version)), chain, target)),
            permits.DOMAIN_SEPARATOR()
        );
        vm.assertEq(chain, block.chainid);
        vm.assertEq(target, address(coin));
    }
}
