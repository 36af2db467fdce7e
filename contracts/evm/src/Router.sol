// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pair} from "./Pair.sol";

/// Trades along a path of pairs, of which each sends what it gives to the next.
contract Router {
    using SafeERC20 for IERC20;

    error TooLittle(uint256 amount);
    error NoPath();

    /// Sells an amount of a token through one pair.
    function swap(Pair pair, IERC20 token, uint256 amount, uint256 least, address to) external returns (uint256 out) {
        token.safeTransferFrom(msg.sender, address(pair), amount);
        out = hop(pair, token, amount, to);
        if (out < least) revert TooLittle(out);
    }

    /// The same through several pairs, of which each has a token in common with the next.
    function swapAlong(Pair[] calldata pairs, IERC20 token, uint256 amount, uint256 least, address to)
        external
        returns (uint256 out)
    {
        if (pairs.length == 0) revert NoPath();
        token.safeTransferFrom(msg.sender, address(pairs[0]), amount);
        out = amount;
        for (uint256 i = 0; i < pairs.length; i++) {
            Pair pair = pairs[i];
            out = hop(pair, token, out, i + 1 < pairs.length ? address(pairs[i + 1]) : to);
            token = token == pair.token0() ? pair.token1() : pair.token0();
        }
        if (out < least) revert TooLittle(out);
    }

    /// What a pair gives for an amount.
    function quote(uint256 amount, uint256 reserveIn, uint256 reserveOut) public pure returns (uint256) {
        uint256 paid = amount * 997;
        return (paid * reserveOut) / (reserveIn * 1000 + paid);
    }

    function hop(Pair pair, IERC20 token, uint256 amount, address to) private returns (uint256 out) {
        (uint112 reserve0, uint112 reserve1,) = pair.reserves();
        if (token == pair.token0()) {
            out = quote(amount, reserve0, reserve1);
            pair.swap(0, out, to);
        } else {
            out = quote(amount, reserve1, reserve0);
            pair.swap(out, 0, to);
        }
    }
}
