// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Settlement} from "../../Settlement.sol";
import {IAuthorizations} from "../../interfaces/IAuthorizations.sol";
import {IOffshoreYuan} from "../../interfaces/IOffshoreYuan.sol";
import {ISettlement} from "../../interfaces/ISettlement.sol";
import {ISignatures} from "../../interfaces/ISignatures.sol";
import {STOP_TRANSFER} from "../../types/RulesWord.sol";
import {create} from "../support/Code.sol";
import {CNH} from "../support/Deployed.sol";
import {Signing} from "../support/Signing.sol";
import {FalseToken, FeeToken, GivingFeeToken, IdleToken, PlainToken, ReenteringToken} from "../support/Tokens.sol";
import {vm} from "../support/Vm.sol";

/// @dev The holder pays yuan by authorization; the dealer delivers something else by allowance.
contract SettlementTest is Signing {
    bytes32 private constant LEG = keccak256("Leg(address from,address token,uint256 value)");
    bytes32 private constant TRADE = keccak256(
        "Trade(Leg first,Leg second,uint256 expiry,bytes32 salt)Leg(address from,address token,uint256 value)"
    );
    uint256 private constant DEALER_KEY = 0xDEA1;
    uint256 private constant PRICE = 70 * CNH;
    uint256 private constant QUANTITY = 10;
    address private immutable dealer = vm.addr(DEALER_KEY);

    Settlement private settlement;
    PlainToken private bond;

    function setUp() public override {
        super.setUp();
        settlement = Settlement(create("Settlement", ""));
        bond = new PlainToken();
        verify(dealer);
        verify(address(settlement));
        endow(holder, 100 * CNH);
        _stock(bond);
    }

    function _stock(PlainToken asset) private {
        asset.mint(dealer, 100);
        vm.prank(dealer);
        asset.approve(address(settlement), 50);
    }

    // The two consents

    function tradeOf(IERC20 asset) private view returns (ISettlement.Trade memory trade) {
        trade.first = ISettlement.Leg(holder, IERC20(address(token)), PRICE);
        trade.second = ISettlement.Leg(dealer, asset, QUANTITY);
        trade.expiry = block.timestamp + 1 hours;
        trade.salt = keccak256("salt");
    }

    function legHash(ISettlement.Leg memory leg) private pure returns (bytes32) {
        return keccak256(abi.encode(LEG, leg.from, leg.token, leg.value));
    }

    function hashOf(ISettlement.Trade memory trade, uint256 chain) private view returns (bytes32) {
        bytes32 fields =
            keccak256(abi.encode(TRADE, legHash(trade.first), legHash(trade.second), trade.expiry, trade.salt));
        return keccak256(abi.encodePacked(hex"1901", domainOf("Settlement", chain, address(settlement)), fields));
    }

    function payment(uint256 key, ISettlement.Leg memory leg, uint256 expiry, bytes32 nonce)
        private
        view
        returns (ISettlement.Consent memory consent)
    {
        bytes memory fields = abi.encode(RECEIVE, leg.from, address(settlement), leg.value, 0, expiry, nonce);
        consent.signature = signed(key, digest(fields));
    }

    function pays(ISettlement.Trade memory trade) private view returns (ISettlement.Consent memory) {
        return payment(KEY, trade.first, trade.expiry, hashOf(trade, block.chainid));
    }

    function delivers(ISettlement.Trade memory trade) private view returns (ISettlement.Consent memory consent) {
        consent.way = ISettlement.Way.ALLOWANCE;
        consent.signature = signed(DEALER_KEY, hashOf(trade, block.chainid));
    }

    function settle(ISettlement.Trade memory trade) private {
        settlement.settle(trade, pays(trade), delivers(trade));
    }

    function refused(ISettlement.Trade memory trade, bytes memory refusal) private {
        ISettlement.Consent memory first = pays(trade);
        ISettlement.Consent memory second = delivers(trade);
        vm.expectRevert(refusal);
        settlement.settle(trade, first, second);
        vm.assertEq(token.balanceOf(holder), 100 * CNH);
        vm.assertEq(token.balanceOf(address(settlement)), 0);
        vm.assertTrue(settlement.stateOf(settlement.hashOf(trade)) != ISettlement.State.SETTLED);
    }

    // Both

    function test_both_legs_move_whoever_submits() public {
        ISettlement.Trade memory trade = tradeOf(bond);
        bytes32 tradeHash = hashOf(trade, block.chainid);
        vm.assertEq(settlement.hashOf(trade), tradeHash);
        vm.assertEq(settlement.LEG_TYPEHASH(), LEG);
        vm.assertEq(settlement.TRADE_TYPEHASH(), TRADE);
        ISettlement.Consent memory first = pays(trade);
        ISettlement.Consent memory second = delivers(trade);
        vm.expectEmit(address(settlement));
        emit ISettlement.Settled(tradeHash, holder, dealer);
        vm.prank(mallory);
        settlement.settle(trade, first, second);
        vm.assertEq(token.balanceOf(dealer), PRICE);
        vm.assertEq(bond.balanceOf(holder), QUANTITY);
        vm.assertEq(token.balanceOf(address(settlement)), 0);
        vm.assertEq(bond.balanceOf(address(settlement)), 0);
    }

    function test_payment_versus_payment_takes_both_legs_by_authorization() public {
        endow(dealer, 9 * CNH);
        ISettlement.Trade memory trade = tradeOf(bond);
        trade.second = ISettlement.Leg(dealer, IERC20(address(token)), 9 * CNH);
        ISettlement.Consent memory second =
            payment(DEALER_KEY, trade.second, trade.expiry, hashOf(trade, block.chainid));
        settlement.settle(trade, pays(trade), second);
        vm.assertEq(token.balanceOf(holder), 39 * CNH);
        vm.assertEq(token.balanceOf(dealer), 70 * CNH);
    }

    function test_a_leg_by_permit_needs_no_earlier_transaction() public {
        vm.prank(dealer);
        bond.approve(address(settlement), 0);
        ISettlement.Trade memory trade = tradeOf(bond);
        ISettlement.Consent memory second = delivers(trade);
        bytes32 fields = keccak256(abi.encode(PERMIT, dealer, address(settlement), QUANTITY, 0, FOREVER));
        bytes32 hash = keccak256(abi.encodePacked(hex"1901", bond.DOMAIN_SEPARATOR(), fields));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(DEALER_KEY, hash);
        second.permit = abi.encode(FOREVER, v, r, s);
        // Somebody used the permit before: the allowance is there all the same.
        bond.permit(dealer, address(settlement), QUANTITY, FOREVER, v, r, s);
        settlement.settle(trade, pays(trade), second);
        vm.assertEq(bond.balanceOf(holder), QUANTITY);
        vm.assertEq(bond.allowance(dealer, address(settlement)), 0);
    }

    function test_a_permit_is_used_when_nobody_has() public {
        vm.prank(dealer);
        bond.approve(address(settlement), 0);
        ISettlement.Trade memory trade = tradeOf(bond);
        refused(
            trade,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(settlement), 0, QUANTITY)
        );
        ISettlement.Consent memory second = delivers(trade);
        bytes32 fields = keccak256(abi.encode(PERMIT, dealer, address(settlement), QUANTITY, 0, FOREVER));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(DEALER_KEY, keccak256(abi.encodePacked(hex"1901", bond.DOMAIN_SEPARATOR(), fields)));
        second.permit = abi.encode(FOREVER, v, r, s);
        settlement.settle(trade, pays(trade), second);
        vm.assertEq(bond.balanceOf(holder), QUANTITY);
    }

    // Or none

    /// @dev A payment authorized to the settlement is of no use to the other side alone.
    function test_one_leg_is_never_taken_alone() public {
        ISettlement.Trade memory trade = tradeOf(bond);
        ISettlement.Consent memory first = pays(trade);
        bytes32 nonce = hashOf(trade, block.chainid);
        vm.expectRevert(abi.encodeWithSelector(IAuthorizations.NotRecipient.selector, dealer));
        vm.prank(dealer);
        token.receiveWithAuthorization(holder, address(settlement), PRICE, 0, trade.expiry, nonce, first.signature);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, holder));
        vm.prank(dealer);
        token.transferWithAuthorization(holder, address(settlement), PRICE, 0, trade.expiry, nonce, first.signature);
        ISettlement.Consent memory second = delivers(trade);
        second.signature = signed(KEY, nonce);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, dealer));
        settlement.settle(trade, first, second);
        vm.assertEq(token.balanceOf(holder), 100 * CNH);
    }

    /// @dev An allowance that stands for other trades is not consent to this one.
    function test_an_allowance_alone_is_no_consent() public {
        ISettlement.Trade memory trade = tradeOf(bond);
        ISettlement.Trade memory cheaper = tradeOf(bond);
        cheaper.first.value = 1;
        ISettlement.Consent memory first = pays(cheaper);
        ISettlement.Consent memory second = delivers(trade);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, dealer));
        settlement.settle(cheaper, first, second);
    }

    function test_a_trade_settles_once() public {
        endow(holder, 200 * CNH);
        ISettlement.Trade memory trade = tradeOf(bond);
        settle(trade);
        ISettlement.Consent memory first = pays(trade);
        ISettlement.Consent memory second = delivers(trade);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.TradeClosed.selector, settlement.hashOf(trade), ISettlement.State.SETTLED
            )
        );
        settlement.settle(trade, first, second);
        vm.expectRevert(
            abi.encodeWithSelector(
                ISettlement.TradeClosed.selector, settlement.hashOf(trade), ISettlement.State.SETTLED
            )
        );
        vm.prank(dealer);
        settlement.cancel(trade);
        trade.salt = 0;
        settle(trade);
        vm.assertEq(bond.balanceOf(holder), 2 * QUANTITY);
    }

    function test_it_is_too_late_at_the_expiry() public {
        ISettlement.Trade memory trade = tradeOf(bond);
        vm.warp(trade.expiry);
        refused(trade, abi.encodeWithSelector(ISettlement.TradeExpired.selector, trade.expiry));
        vm.warp(trade.expiry - 1);
        settle(trade);
    }

    function test_either_party_cancels_and_nobody_else() public {
        address[2] memory parties = [holder, dealer];
        for (uint256 i = 0; i < 2; ++i) {
            ISettlement.Trade memory trade = tradeOf(bond);
            trade.salt = bytes32(i);
            vm.expectRevert(abi.encodeWithSelector(ISettlement.NotParty.selector, mallory));
            vm.prank(mallory);
            settlement.cancel(trade);
            vm.expectEmit(address(settlement));
            emit ISettlement.Cancelled(hashOf(trade, block.chainid), parties[i]);
            vm.prank(parties[i]);
            settlement.cancel(trade);
            refused(
                trade,
                abi.encodeWithSelector(
                    ISettlement.TradeClosed.selector, hashOf(trade, block.chainid), ISettlement.State.CANCELLED
                )
            );
        }
    }

    function test_a_trade_of_another_chain_is_none_here() public {
        ISettlement.Trade memory trade = tradeOf(bond);
        bytes32 elsewhere = hashOf(trade, block.chainid + 1);
        ISettlement.Consent memory first = payment(KEY, trade.first, trade.expiry, elsewhere);
        ISettlement.Consent memory second = delivers(trade);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, holder));
        settlement.settle(trade, first, second);
        first = pays(trade);
        second.signature = signed(DEALER_KEY, elsewhere);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, dealer));
        settlement.settle(trade, first, second);
        vm.chainId(block.chainid + 1);
        vm.assertEq(settlement.hashOf(trade), elsewhere);
    }

    // Parties and tokens that go wrong in the middle

    function test_a_party_that_is_frozen_meanwhile_undoes_all_of_it() public {
        ISettlement.Trade memory trade = tradeOf(bond);
        freeze(dealer);
        refused(trade, abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, dealer));
        (,, uint32 freezes) = token.accountOf(dealer);
        slowly(token, abi.encodeCall(token.unfreeze, (dealer, freezes)));
        trade.expiry = block.timestamp + 1 hours;
        freeze(holder);
        refused(trade, abi.encodeWithSelector(IOffshoreYuan.AccountFrozen.selector, holder));
        vm.assertEq(bond.balanceOf(dealer), 100);
    }

    function test_a_stop_of_transfers_stops_settlement() public {
        stop(STOP_TRANSFER);
        refused(tradeOf(bond), abi.encodeWithSelector(IOffshoreYuan.ActStopped.selector, STOP_TRANSFER));
    }

    function test_a_token_that_takes_a_fee_is_refused() public {
        FeeToken asset = new FeeToken();
        _stock(asset);
        refused(tradeOf(asset), abi.encodeWithSelector(ISettlement.WrongValue.selector, asset, QUANTITY - 1, QUANTITY));
    }

    function test_a_token_that_takes_a_fee_only_where_it_is_given_is_refused() public {
        GivingFeeToken asset = new GivingFeeToken();
        _stock(asset);
        refused(tradeOf(asset), abi.encodeWithSelector(ISettlement.WrongValue.selector, asset, QUANTITY - 1, QUANTITY));
    }

    function test_a_token_that_answers_false_is_refused() public {
        FalseToken asset = new FalseToken();
        _stock(asset);
        refused(tradeOf(asset), abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(asset)));
    }

    function test_a_token_that_only_says_yes_is_refused_by_either_way() public {
        IdleToken asset = new IdleToken();
        _stock(asset);
        ISettlement.Trade memory trade = tradeOf(asset);
        bytes memory refusal = abi.encodeWithSelector(ISettlement.WrongValue.selector, asset, 0, QUANTITY);
        refused(trade, refusal);
        ISettlement.Consent memory first = pays(trade);
        ISettlement.Consent memory second = delivers(trade);
        second.way = ISettlement.Way.AUTHORIZATION;
        vm.expectRevert(refusal);
        settlement.settle(trade, first, second);
    }

    function test_a_token_that_calls_back_takes_nothing() public {
        ReenteringToken asset = new ReenteringToken();
        _stock(asset);
        ISettlement.Trade memory trade = tradeOf(asset);
        ISettlement.Trade memory other = tradeOf(bond);
        asset.aim(address(settlement), abi.encodeCall(settlement.settle, (other, pays(other), delivers(other))));
        settle(trade);
        vm.assertEq(
            asset.refusal(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        vm.assertEq(token.balanceOf(dealer), PRICE);
        vm.assertEq(bond.balanceOf(dealer), 100);
    }
}
