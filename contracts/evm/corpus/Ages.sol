// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity >=0.4.22;

/// Arithmetic with its own checks, as contracts had before the compiler's.
library Checked {
    function add(uint256 a, uint256 b) internal pure returns (uint256 c) {
        c = a + b;
        require(c >= a, "overflow");
    }

    function mul(uint256 a, uint256 b) internal pure returns (uint256 c) {
        if (a == 0) return 0;
        c = a * b;
        require(c / a == b, "overflow");
    }
}

contract Child {
    uint256 public value;
    address public parent;

    constructor(uint256 value_) public {
        value = value_;
        parent = msg.sender;
    }

    function double() public returns (uint256) {
        require(msg.sender == parent, "not the parent");
        value = value * 2;
        return value;
    }
}

contract Owned {
    address public owner;
    uint8 internal flags;

    modifier counted() {
        flags++;
        _;
    }

    constructor() public {
        owner = msg.sender;
    }
}

/// What each compiler since 0.4 understands, and compiles in its own way.
contract Ages is Owned {
    using Checked for uint256;

    enum Kind { None, Small, Large }

    struct Entry {
        uint128 amount;
        uint64 time;
        Kind kind;
        bytes32 tag;
        uint256[] history;
    }

    mapping(address => mapping(uint256 => Entry)) internal entries;
    uint256[] internal list;
    string internal text;
    bytes internal raw;
    int64 internal sum;
    Child internal child;

    event Put(address indexed who, uint256 indexed key, uint128 amount, bytes32 tag);
    event Said(string what);

    function put(uint256 key, uint128 amount, bytes32 tag) public counted returns (uint256) {
        Entry storage entry = entries[msg.sender][key];
        entry.history.push(entry.amount);
        entry.amount = amount;
        entry.time = uint64(block.timestamp);
        entry.kind = amount == 0 ? Kind.None : (amount < 1000 ? Kind.Small : Kind.Large);
        entry.tag = tag;
        emit Put(msg.sender, key, amount, tag);
        return entry.history.length;
    }

    function get(address who, uint256 key) public view returns (uint128, uint64, Kind, bytes32) {
        Entry storage entry = entries[who][key];
        return (entry.amount, entry.time, entry.kind, entry.tag);
    }

    function forget(uint256 key) public {
        delete entries[msg.sender][key];
    }

    function append(uint256[] memory numbers) public returns (uint256) {
        for (uint256 i = 0; i < numbers.length; i++) {
            list.push(numbers[i]);
        }
        return list.length;
    }

    function sorted() public view returns (uint256[] memory) {
        uint256[] memory copy = list;
        for (uint256 i = 1; i < copy.length; i++) {
            for (uint256 j = i; j > 0 && copy[j - 1] > copy[j]; j--) {
                (copy[j - 1], copy[j]) = (copy[j], copy[j - 1]);
            }
        }
        return copy;
    }

    function at(uint256 index) public view returns (uint256) {
        return list[index];
    }

    function say(string memory what) public {
        text = string(abi.encodePacked(text, what));
        emit Said(text);
    }

    function said() public view returns (string memory, uint256) {
        return (text, bytes(text).length);
    }

    function keep(bytes memory data, uint8 position) public returns (bytes1) {
        raw = data;
        if (data.length == 0) return bytes1(0);
        return raw[position % data.length];
    }

    function digest(bytes memory data, uint256 salt) public pure returns (bytes32, bytes32) {
        return (keccak256(abi.encodePacked(data, salt)), sha256(abi.encode(salt, data)));
    }

    function signed(int256 a, int256 b, int8 c) public pure returns (int256, int256, int256, bool) {
        return (a / b, a % b, a * c, a < b);
    }

    function words(uint256 a, uint256 b, uint8 by) public pure returns (uint256, uint256, uint256, uint256) {
        return ((a << by) | (b >> by), a ^ ~b, addmod(a, b, 1000000007), mulmod(a, b, b | 1));
    }

    function power(uint8 base, uint8 exponent) public pure returns (uint256 product) {
        product = 1;
        for (uint256 i = 0; i < exponent % 40; i++) {
            product = product.mul(base);
        }
    }

    function checked(uint256 a, uint256 b) public pure returns (uint256) {
        return a.add(b).mul(b);
    }

    function add(int64 a) public returns (int64) {
        sum += a;
        return sum;
    }

    function pick(uint8 which, uint256 a, uint256 b) public pure returns (uint256) {
        function(uint256, uint256) pure returns (uint256)[3] memory all = [first, second, larger];
        return all[which](a, b);
    }

    function first(uint256 a, uint256) internal pure returns (uint256) {
        return a;
    }

    function second(uint256, uint256 b) internal pure returns (uint256) {
        return b;
    }

    function larger(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a : b;
    }

    function fibonacci(uint8 n) public pure returns (uint256) {
        uint256 m = n % 12;
        return m < 2 ? m : fibonacci(uint8(m - 1)) + fibonacci(uint8(m - 2));
    }

    function breed(uint256 value) public returns (uint256) {
        child = new Child(value);
        return child.double() + this.checked(value, 1);
    }

    function double() public returns (uint256) {
        return child.double();
    }

    function about(address other) public view returns (uint256, uint256 size, address, uint256) {
        assembly {
            size := extcodesize(other)
        }
        return (other.balance, size, tx.origin, block.number);
    }
}
