# SPDX-License-Identifier: MIT OR Apache-2.0
# pragma version 0.4.3
"""
@title Accounts with a history: many selectors, so that they are found by a table of jumps
"""

struct Entry:
    amount: uint256
    tag: bytes32
    open: bool

event Moved:
    who: indexed(address)
    to: indexed(address)
    amount: uint256

flag Role:
    READER
    WRITER
    OWNER

interface Self:
    def total() -> uint256: view

LIMIT: constant(uint256) = 10 ** 24

owner: public(address)
balances: public(HashMap[address, uint256])
roles: public(HashMap[address, Role])
entries: HashMap[uint256, Entry]
history: DynArray[uint256, 64]
title: String[96]
raw: Bytes[200]
supply: uint256
last: int128

@deploy
def __init__():
    self.owner = msg.sender
    self.roles[msg.sender] = Role.OWNER | Role.WRITER
    self.title = "ledger"

@external
def mint(to: address, amount: uint256):
    assert msg.sender == self.owner, "not the owner"
    assert amount <= LIMIT, "too much"
    self.supply += amount
    self.balances[to] += amount
    log Moved(who=empty(address), to=to, amount=amount)

@external
def move(to: address, amount: uint256) -> bool:
    self.balances[msg.sender] -= amount
    self.balances[to] += amount
    log Moved(who=msg.sender, to=to, amount=amount)
    return True

@view
@external
def total() -> uint256:
    return self.supply

@external
def note(key: uint256, tag: bytes32, amount: uint256) -> uint256:
    entry: Entry = self.entries[key]
    entry.amount = unsafe_add(entry.amount, amount)
    entry.tag = tag
    entry.open = not entry.open
    self.entries[key] = entry
    if len(self.history) < 64:
        self.history.append(entry.amount)
    return len(self.history)

@view
@external
def entry(key: uint256) -> Entry:
    return self.entries[key]

@external
def forget() -> uint256:
    return self.history.pop()

@view
@external
def past() -> DynArray[uint256, 64]:
    return self.history

@view
@external
def largest(start: uint256) -> uint256:
    found: uint256 = start
    for number: uint256 in self.history:
        found = max(found, number)
    return found

@external
def name(text: String[40]) -> String[96]:
    before: String[6] = slice(self.title, 0, 6)
    self.title = concat(before, "-", text)
    return self.title

@external
def keep(data: Bytes[200], at: uint256) -> Bytes[32]:
    self.raw = data
    return slice(self.raw, at % 100, 32)

@pure
@external
def digest(data: Bytes[200], salt: uint256) -> (bytes32, bytes32):
    return keccak256(concat(data, convert(salt, bytes32))), sha256(data)

@external
def signed(a: int128, b: int128) -> int128:
    self.last = a // b - (a % b)
    return self.last * b

@pure
@external
def roots(a: uint256, b: uint256) -> (uint256, uint256, uint256):
    return isqrt(a), uint256_mulmod(a, b, max_value(uint256)), pow_mod256(a, b)

@external
def grant(who: address, role: Role) -> bool:
    self.roles[who] |= role
    return Role.WRITER in self.roles[who]

@view
@external
def matrix(rows: uint256[3][3], by: uint256) -> uint256:
    sum: uint256 = 0
    for i: uint256 in range(3):
        for j: uint256 in range(3):
            sum += (rows[i][j] % 1000) * (by % 1000)
    return sum

@external
def again() -> uint256:
    answer: Bytes[32] = raw_call(self, method_id("total()"), max_outsize=32, is_static_call=True)
    return staticcall Self(self).total() + convert(answer, uint256)
