/** The wire types of protobuf that are in use or may be skipped. */
export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
export const WIRE_FIXED32 = 5;

/** Field numbers inside of an entry of a map. */
export const MAP_KEY_ID = 1;
export const MAP_VALUE_ID = 2;

export const UINT32_MAX = 0xffff_ffff;
export const INT32_MIN = -0x8000_0000;
export const INT32_MAX = 0x7fff_ffff;

/** Items of lists and sub-messages in one message: memory must not outgrow bytes a hundredfold. */
export const ITEM_COUNT_MAX = 65_536;
