// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// The benchmark of the NEP-481 thread: swaps in a buffer of 102,400 bytes, counted. `contracts/guests/soak` is
/// the same by hand in Rust.
contract Soak {
    function run(uint256 loops) external pure returns (uint256 count) {
        uint8[102400] memory buffer;
        for (uint256 i = 0; i < loops; i++) {
            uint256 j = (i * 7 + buffer.length / 2) % buffer.length;
            uint256 k = (i * 3) % buffer.length;
            (buffer[j], buffer[k]) = (buffer[k], buffer[j]);
            count++;
        }
    }
}
