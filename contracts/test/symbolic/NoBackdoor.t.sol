// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Symbolic, svm, vm} from "./Symbolic.sol";

/// @dev In every state, nobody takes a holder's tokens without the holder's allowance or signature, and nobody but the
/// minter makes any: neither by a call of any function with any argument, nor with any role, nor by a slow act other than
/// a seizure, which takes what it names from the frozen account that it names.
contract NoBackdoorProof is Symbolic {
    struct Seen {
        uint256 held;
        uint256 supply;
        uint256 redeemed;
        uint64 next;
    }

    /// @dev Every function that changes state and takes no signature, by somebody who holds no role; those that take one
    /// are in {SignedProof}.
    function check_nobody_takes_a_holders_tokens(address caller, address holder) external {
        vm.assume(caller != address(this) && caller != address(token) && caller != holder);
        vm.assume(caller != token.minter() && token.allowance(holder, caller) == 0);
        Seen memory before = _seen(caller, holder);
        bytes memory data = svm.createCalldata("OffshoreYuan");
        vm.assume(!_isSigned(bytes4(data)));
        _assumeWithinSupply(data, holder);
        vm.prank(caller);
        (bool done,) = address(token).call(data);
        vm.assume(done);
        _assertKept(before, holder);
    }

    /// @dev Who holds all roles at once has no more.
    function check_no_role_takes_a_holders_tokens(
        address holder,
        address account,
        uint8 stops,
        bytes32 actId,
        uint8 act
    ) external {
        vm.assume(holder != address(this) && token.minter() != address(this));
        Seen memory before = _seen(address(this), holder);
        address[] memory accounts = new address[](2);
        (accounts[0], accounts[1]) = (account, holder);
        if (act == 0) token.verify(accounts);
        else if (act == 1) token.unverify(accounts);
        else if (act == 2) token.freeze(accounts);
        else if (act == 3) token.stop(stops);
        else token.cancel(actId);
        _assertKept(before, holder);
    }

    /// @dev A slow act is a call of the token by itself, whoever proposed and accepted. These call nobody.
    function check_no_slow_act_takes_a_holders_tokens(
        address holder,
        address account,
        uint32 count,
        uint8 stops,
        uint16[4] calldata policy,
        uint32 age,
        uint8 act
    ) external {
        vm.assume(holder != address(token));
        Seen memory before = _seen(address(token), holder);
        vm.prank(address(token));
        if (act == 0) token.resume(stops, count);
        else if (act == 1) token.unfreeze(account, count);
        else if (act == 2) token.setPolicy(policy[0], policy[1], policy[2], policy[3]);
        else token.setReportAge(count, age);
        _assertKept(before, holder);
    }

    /// @dev These name another contract, which is only read: any address, with the code of the deployment or with none.
    function check_no_change_of_parts_takes_a_holders_tokens(
        address holder,
        address current,
        address next,
        bytes32 currentHash,
        string calldata papers,
        uint8 act
    ) external {
        vm.assume(holder != address(token));
        Seen memory before = _seen(address(token), holder);
        vm.prank(address(token));
        if (act == 0) token.setMinter(current, next);
        else if (act == 1) token.setFeed(current, next);
        else if (act == 2) token.setHook(current, next);
        else if (act == 3) token.retire(next);
        else token.setContractURI(currentHash, papers);
        _assertKept(before, holder);
    }

    /// @dev Nothing of the deployment is foreign, the token itself least, whose own account is frozen for ever.
    function check_a_rescue_takes_nothing_of_the_deployment(IERC20 foreign, address to, uint256 value) external {
        (, uint16 status,) = token.accountOf(address(token));
        vm.assume(status & 2 != 0);
        vm.prank(address(token));
        try token.rescue(foreign, to, value) {
            assert(false);
        } catch {}
    }

    function check_a_seizure_takes_what_it_names_from_the_frozen(
        address holder,
        address account,
        uint256 balance,
        uint256 value,
        bytes32 caseId
    ) external {
        vm.assume(holder != account);
        Seen memory before = _seen(account, holder);
        uint256 held = token.balanceOf(account);
        (, uint16 status,) = token.accountOf(account);
        vm.prank(address(token));
        token.seize(account, balance, value, caseId);
        _assertKept(before, holder);
        assert(status & 2 != 0 && caseId != 0 && held == balance);
        assert(token.balanceOf(account) == held - value && token.redeemed() == before.redeemed + value);
    }

    /// @dev Hashes that the compiler makes, since to halmos a loop over strings is one without an end.
    function _isSigned(bytes4 selector) private pure returns (bool) {
        return selector == bytes4(keccak256("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"))
            || selector == bytes4(keccak256("permit(address,address,uint256,uint256,bytes)"))
            || selector
                == bytes4(
                keccak256(
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
            )
            )
            || selector
                == bytes4(keccak256("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"))
            || selector
                == bytes4(
                keccak256(
                "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)"
            )
            )
            || selector
                == bytes4(keccak256("receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)"))
            || selector == bytes4(keccak256("cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)"))
            || selector == bytes4(keccak256("cancelAuthorization(address,bytes32,bytes)"))
            || selector == bytes4(keccak256("redeemWithAuthorization(address,uint256,bytes32,uint256,bytes32,bytes)"));
    }

    function _seen(address caller, address holder) private view returns (Seen memory seen) {
        seen = Seen(token.balanceOf(holder), token.totalSupply(), token.redeemed(), token.nextNumber());
        vm.assume(token.balanceOf(caller) + seen.held <= seen.supply && seen.supply + seen.redeemed < ROOM);
    }

    /// @dev Balances sum to the supply, which the forge invariants show: so do the holder's and the first argument's.
    function _assumeWithinSupply(bytes memory data, address holder) private view {
        address first;
        assembly ("memory-safe") {
            first := mload(add(data, 36))
        }
        vm.assume(first == holder || token.balanceOf(first) + token.balanceOf(holder) <= token.totalSupply());
    }

    function _assertKept(Seen memory before, address holder) private view {
        assert(token.balanceOf(holder) >= before.held);
        assert(token.totalSupply() + token.redeemed() == before.supply + before.redeemed);
        assert(token.nextNumber() == before.next);
    }
}
