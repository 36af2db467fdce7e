// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// A market of two tokens that keeps the product of its reserves, less a fee of 0.3 %. Who calls has sent the
/// tokens before, as in Uniswap's second version.
contract Pair is ERC20, ReentrancyGuard {
    using SafeERC20 for IERC20;

    /// Shares that nobody owns, so that a share is never worth the whole market.
    uint256 private constant LOCKED = 1000;

    IERC20 public immutable token0;
    IERC20 public immutable token1;

    uint112 private reserve0;
    uint112 private reserve1;
    uint32 private updated;

    /// Prices times seconds, in 1/2^112, for averages over time.
    uint256 public cumulative0;
    uint256 public cumulative1;

    event Mint(address indexed to, uint256 amount0, uint256 amount1);
    event Burn(address indexed to, uint256 amount0, uint256 amount1);
    event Swap(address indexed sender, uint256 in0, uint256 in1, uint256 out0, uint256 out1, address indexed to);
    event Sync(uint112 reserve0, uint112 reserve1);

    error Unsorted();
    error NothingOut();
    error NothingIn();
    error NotEnough();
    error ProductShrinks();
    error TooMuch();

    constructor(IERC20 token0_, IERC20 token1_) ERC20("Cotenant pair", "PAIR") {
        if (token0_ >= token1_) revert Unsorted();
        (token0, token1) = (token0_, token1_);
    }

    function reserves() external view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, updated);
    }

    function mint(address to) external nonReentrant returns (uint256 shares) {
        (uint256 held0, uint256 held1) = held();
        uint256 amount0 = held0 - reserve0;
        uint256 amount1 = held1 - reserve1;
        uint256 total = totalSupply();
        if (total == 0) {
            shares = Math.sqrt(amount0 * amount1) - LOCKED;
            _mint(address(0xdead), LOCKED);
        } else {
            shares = Math.min((amount0 * total) / reserve0, (amount1 * total) / reserve1);
        }
        if (shares == 0) revert NothingIn();
        _mint(to, shares);
        update(held0, held1);
        emit Mint(to, amount0, amount1);
    }

    function burn(address to) external nonReentrant returns (uint256 amount0, uint256 amount1) {
        (uint256 held0, uint256 held1) = held();
        uint256 shares = balanceOf(address(this));
        uint256 total = totalSupply();
        amount0 = (shares * held0) / total;
        amount1 = (shares * held1) / total;
        if (amount0 == 0 || amount1 == 0) revert NothingOut();
        _burn(address(this), shares);
        token0.safeTransfer(to, amount0);
        token1.safeTransfer(to, amount1);
        (held0, held1) = held();
        update(held0, held1);
        emit Burn(to, amount0, amount1);
    }

    function swap(uint256 out0, uint256 out1, address to) external nonReentrant {
        if (out0 == 0 && out1 == 0) revert NothingOut();
        (uint256 before0, uint256 before1) = (reserve0, reserve1);
        if (out0 >= before0 || out1 >= before1) revert NotEnough();
        if (out0 > 0) token0.safeTransfer(to, out0);
        if (out1 > 0) token1.safeTransfer(to, out1);
        (uint256 held0, uint256 held1) = held();
        uint256 in0 = held0 > before0 - out0 ? held0 - (before0 - out0) : 0;
        uint256 in1 = held1 > before1 - out1 ? held1 - (before1 - out1) : 0;
        if (in0 == 0 && in1 == 0) revert NothingIn();
        uint256 paid0 = held0 * 1000 - in0 * 3;
        uint256 paid1 = held1 * 1000 - in1 * 3;
        if (paid0 * paid1 < before0 * before1 * 1000 ** 2) revert ProductShrinks();
        update(held0, held1);
        emit Swap(msg.sender, in0, in1, out0, out1, to);
    }

    function held() private view returns (uint256, uint256) {
        return (token0.balanceOf(address(this)), token1.balanceOf(address(this)));
    }

    function update(uint256 held0, uint256 held1) private {
        if (held0 > type(uint112).max || held1 > type(uint112).max) revert TooMuch();
        uint32 time = uint32(block.timestamp);
        unchecked {
            // Times and sums wrap; what is read are their differences.
            uint32 elapsed = time - updated;
            if (elapsed > 0 && reserve0 != 0 && reserve1 != 0) {
                cumulative0 += ((uint256(reserve1) << 112) / reserve0) * elapsed;
                cumulative1 += ((uint256(reserve0) << 112) / reserve1) * elapsed;
            }
        }
        (reserve0, reserve1, updated) = (uint112(held0), uint112(held1), time);
        emit Sync(uint112(held0), uint112(held1));
    }
}
