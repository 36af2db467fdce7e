// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity >=0.8.28;

type Price is uint128;

error Refused(address who, uint256 amount);

interface IShape {
    function area() external view returns (uint256);
}

contract Square is IShape {
    uint256 public immutable side;

    constructor(uint256 side_) {
        require(side_ < 1 << 64, "too large");
        side = side_;
    }

    function area() external view returns (uint256) {
        return side * side;
    }

    function set(uint256 slot, uint256 value) external payable {
        assembly {
            sstore(slot, value)
        }
    }

    function end(address payable heir) external {
        selfdestruct(heir);
    }
}

/// What the compilers before 0.8.28 do not have.
contract Modern {
    uint256 transient depth;
    mapping(bytes32 key => Price) internal prices;
    IShape[] internal shapes;
    bytes internal last;

    event Priced(bytes32 indexed key, Price price) anonymous;

    constructor() payable {}

    function price(bytes32 key, uint128 amount) external {
        if (amount == 0) revert Refused(msg.sender, amount);
        prices[key] = Price.wrap(Price.unwrap(prices[key]) + amount);
        emit Priced(key, prices[key]);
    }

    function build(uint256 side, bytes32 salt) external returns (address, uint256 area) {
        Square square = new Square{salt: salt}(side);
        shapes.push(square);
        for (uint256 i = 0; i < shapes.length; i++) {
            area += shapes[i].area();
        }
        return (address(square), area);
    }

    function tried(uint256 side) external returns (string memory) {
        try new Square(side) returns (Square square) {
            return square.area() > 100 ? "large" : "small";
        } catch Error(string memory reason) {
            return reason;
        } catch (bytes memory) {
            return "?";
        }
    }

    function through(uint256 index, uint256 slot, uint256 value) external returns (bool done, bytes memory data) {
        address shape = address(shapes[index % shapes.length]);
        (done, data) = shape.delegatecall(abi.encodeCall(Square.set, (slot | 1 << 200, value)));
        last = data;
    }

    function end(uint256 index) external payable returns (bool done) {
        address shape = address(shapes[index % shapes.length]);
        (done,) = shape.call{value: msg.value}(abi.encodeCall(Square.end, (payable(msg.sender))));
    }

    function nested(uint8 levels) external returns (uint256) {
        depth++;
        if (levels % 5 > 0) this.nested(levels % 5 - 1);
        return depth;
    }

    function slices(bytes calldata data, uint8 from, uint8 to) external pure returns (bytes memory, bytes4) {
        return (bytes.concat(data[from:to], data[:from]), bytes4(data));
    }

    function copied(bytes calldata data) external pure returns (bytes memory out) {
        out = data;
        assembly {
            mcopy(add(out, 0x21), add(out, 0x20), mload(out))
        }
    }

    function unsafe(uint256 a, uint256 b) external pure returns (uint256 c) {
        unchecked {
            c = a - b + a * b + a ** (b % 7);
        }
    }

    function decoded(bytes calldata data) external pure returns (uint256[] memory numbers, string memory text) {
        (numbers, text) = abi.decode(data, (uint256[], string));
    }

    function signer(bytes32 hash, uint8 v, bytes32 r, bytes32 s) external view returns (address, uint256) {
        return (ecrecover(hash, v, r, s), gasleft() & 0);
    }

    function many(uint256[4][] calldata rows) external pure returns (uint256 sum) {
        for (uint256 i = 0; i < rows.length; i++) {
            for (uint256 j = 0; j < 4; j++) {
                sum += rows[i][j] % 1000;
            }
        }
    }
}
