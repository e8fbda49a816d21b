"""AMF0 (Adobe, 2007) by its bytes, and what hostile bytes may ask for."""

from __future__ import annotations

import math
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtmp_wire import amf

from onair_media import amf0

TYPES = {
    "number": ("00 3ff8000000000000", 1.5),
    "boolean false": ("01 00", False),
    "boolean true": ("01 01", True),
    "boolean, any other byte": ("01 7f", True),
    "string": ("02 0003 616263", "abc"),
    "string, empty": ("02 0000", ""),
    "string, UTF-8": ("02 0002 c3a9", "é"),
    "object": ("03 0001 61 05 0001 62 0101 0000 09", {"a": None, "b": True}),
    "object, empty": ("03 0000 09", {}),
    "object, empty key": ("03 0000 05 0000 09", {"": None}),
    "null": ("05", None),
    "undefined": ("06", None),
    "reference": ("07 0001", None),
    "ECMA array": ("08 00000001 0001 61 0101 0000 09", {"a": True}),
    "ECMA array, count 0": ("08 00000000 0001 61 0101 0000 09", {"a": True}),
    "ECMA array, count 2^32-1": ("08 ffffffff 0001 61 0101 0000 09", {"a": True}),
    "strict array": ("0a 00000002 0101 05", [True, None]),
    "strict array, empty": ("0a 00000000", []),
    "date": ("0b 4090000000000000 0000", 1024.0),
    "date, with a zone": ("0b 4090000000000000 ffc4", 1024.0),
    "long string": ("0c 00000003 616263", "abc"),
    "unsupported": ("0d", None),
    "XML document": ("0f 00000004 3c612f3e", "<a/>"),
    "typed object": ("10 0003 466f6f 0001 61 0101 0000 09", {"a": True}),
}


@pytest.mark.parametrize(("wire", "value"), TYPES.values(), ids=TYPES)
def test_every_type(wire: str, value: object) -> None:
    assert amf0.decode(bytes.fromhex(wire)) == [value]


@pytest.mark.parametrize(("wire", "value"), TYPES.values(), ids=TYPES)
def test_truncated_at_each_byte_is_an_error(wire: str, value: object) -> None:
    data = bytes.fromhex(wire)
    for end in range(1, len(data)):
        with pytest.raises(amf0.AmfError):
            amf0.decode(data[:end])


@pytest.mark.parametrize(
    "marker", [4, 9, 14, 17, 18, 255], ids=["movieclip", "end", "recordset", "avmplus", "18", "255"]
)
def test_reserved_and_unknown_markers_are_errors(marker: int) -> None:
    with pytest.raises(amf0.AmfError, match=f"marker {marker}"):
        amf0.decode(bytes((marker,)) + bytes(20))


def test_the_values_of_a_message_stand_one_behind_the_other() -> None:
    assert amf0.decode(b"") == []
    assert amf0.decode(amf("publish", 5.0, None, "key", {"a": [1.0, {"b": False}]})) == [
        "publish",
        5.0,
        None,
        "key",
        {"a": [1.0, {"b": False}]},
    ]


def test_text_that_is_not_utf8_is_kept_with_replacements() -> None:
    # Encoders send Latin-1 in device names; that is no reason to lose a command.
    assert amf0.decode(b"\2\0\4caf\xe9") == ["caf\ufffd"]
    assert amf0.decode(b"\3\0\1\xe9\5\0\0\t") == [{"\ufffd": None}]


def test_the_last_of_equal_keys_counts() -> None:
    assert amf0.decode(bytes.fromhex("03 0001 61 0100 0001 61 0101 0000 09")) == [{"a": True}]


def test_numbers_are_what_they_are() -> None:
    nan, infinite = amf0.decode(bytes.fromhex("00 7ff8000000000000 00 7ff0000000000000"))
    assert isinstance(nan, float) and math.isnan(nan) and infinite == math.inf


# Encoding


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (1.5, "00 3ff8000000000000"),
        (1, "00 3ff0000000000000"),
        (True, "01 01"),
        ("é", "02 0002 c3a9"),
        ({"a": None}, "03 0001 61 05 0000 09"),
        (None, "05"),
        (["a"], "0a 00000001 02 0001 61"),
    ],
)
def test_encoded_bytes(value: object, wire: str) -> None:
    assert amf0.encode(value) == bytes.fromhex(wire)


@pytest.mark.parametrize("length", [0xFFFF, 0x10000])
def test_text_over_65535_bytes_is_a_long_string(length: int) -> None:
    encoded = amf0.encode("x" * length)
    assert encoded[0] == (2 if length == 0xFFFF else 12)
    assert amf0.decode(encoded) == ["x" * length]


def test_what_amf0_does_not_have_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="set"):
        amf0.encode({1})


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(values, max_size=4))
def test_what_was_encoded_is_decoded(given_values: list[object]) -> None:
    assert amf0.decode(amf0.encode(*given_values)) == given_values


@given(st.lists(values, max_size=4))
def test_other_encoders_are_understood(given_values: list[object]) -> None:
    assert amf0.decode(amf(*given_values)) == given_values


@given(st.lists(values, min_size=1, max_size=3), st.integers(0), st.binary(max_size=3))
def test_damaged_values_raise_nothing_but_amf_errors(given_values: list[object], at: int, junk: bytes) -> None:
    data = amf0.encode(*given_values)
    at %= len(data)
    for damaged in (data[:at], data[:at] + junk + data[at + 1 :]):
        with suppress(amf0.AmfError):
            amf0.decode(damaged)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_amf_errors(data: bytes) -> None:
    with suppress(amf0.AmfError):
        amf0.decode(data)


# Limits

NESTED = {
    "strict arrays": (b"\n\0\0\0\1", b""),
    "objects": (b"\3\0\1a", b"\0\0\t"),
    "ECMA arrays": (b"\x08\0\0\0\1\0\1a", b"\0\0\t"),
    "typed objects": (b"\x10\0\1T\0\1a", b"\0\0\t"),
}


@pytest.mark.parametrize(("opened", "closed"), NESTED.values(), ids=NESTED)
def test_nesting_is_limited(opened: bytes, closed: bytes) -> None:
    # flvmeta overflows its stack with 70 000 strict arrays.
    depth = 32
    assert len(amf0.decode(opened * depth + b"\5" + closed * depth, max_depth=depth)) == 1
    for deeper in (depth + 1, 70_000):
        with pytest.raises(amf0.AmfLimitError, match="too deep"):
            amf0.decode(opened * deeper + b"\5" + closed * deeper, max_depth=depth)


def test_the_number_of_values_is_limited_however_they_are_packed() -> None:
    most = 500
    assert len(amf0.decode(b"\5" * most, max_values=most)) == most
    for data in (b"\5" * (most + 1), b"\n" + struct.pack(">I", most) + b"\5" * most, (b"\n\0\0\0\0") * (most + 1)):
        with pytest.raises(amf0.AmfLimitError, match="too many values"):
            amf0.decode(data, max_values=most)


@pytest.mark.parametrize("count", [2, 1000, 0xFFFFFFFF])
def test_an_array_longer_than_its_message_is_refused_before_it_is_made(count: int) -> None:
    with pytest.raises(amf0.AmfError, match="longer"):
        amf0.decode(b"\n" + struct.pack(">I", count) + b"\5")


@pytest.mark.parametrize("marker", [b"\x0c", b"\x0f"])
def test_a_text_of_4_gb_is_not_waited_for(marker: bytes) -> None:
    with pytest.raises(amf0.AmfError, match="truncated"):
        amf0.decode(marker + b"\xff\xff\xff\xffabc")


# Numbers that stand for ids


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5.0, 5),
        (5.9, 5),
        (-1.0, -1),
        (math.nan, 0),
        (math.inf, 0),
        (-math.inf, 0),
        (1e300, 0),
        (2.0**53, 0),
        ("5", 0),
        (None, 0),
        (True, 0),
    ],
)
def test_whole_numbers_of_anything(value: object, number: int) -> None:
    assert amf0.whole_number(value) == number
