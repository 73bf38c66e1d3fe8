import { assert, required } from '@conclave/kernel';
import { WIRE_BYTES, WIRE_VARINT } from './wire-form.js';

/** The scalar types in use; the generator refuses others. */
export type ScalarType = 'string' | 'bytes' | 'bool' | 'uint32' | 'int32' | 'uint64';

/**
 * How often a field occurs. `one`: a default stands for absence. `optional`: absence is told apart.
 * `oneof`: at most one of its group. `map`: of string to string.
 */
export type FieldLabel = 'one' | 'optional' | 'oneof' | 'repeated' | 'map';

/** One field as the generator writes it. */
export interface FieldRow {
  readonly name: string;
  readonly id: number;
  /** A scalar type, or the name of a message. */
  readonly type: string;
  readonly label: FieldLabel;
  /** The group of a `oneof` field. */
  readonly group?: string;
}

/** One field, ready for the codec. */
export interface FieldSchema extends FieldRow {
  /** Absent for scalars and maps. */
  readonly message?: MessageSchema;
  /** One bit of 32, its own; the members of a group share theirs. What occurs once sets it. */
  readonly bit: number;
  /** Number and form as they stand before each value. */
  readonly tag: number;
}

/** One message, ready for the codec. */
export interface MessageSchema {
  readonly name: string;
  /** In the order of their numbers. */
  readonly fields: readonly FieldSchema[];
  readonly byId: ReadonlyMap<number, FieldSchema>;
  /** The fields that are lists or maps. */
  readonly containers: readonly FieldSchema[];
}

/** The messages by name. */
export type Schema = ReadonlyMap<string, MessageSchema>;

interface Building {
  name: string;
  fields: FieldSchema[];
  byId: Map<number, FieldSchema>;
  containers: FieldSchema[];
}

/** Fields of one message; more need another form of `FieldSchema.bit`. */
const BIT_COUNT = 32;

const SCALARS: ReadonlySet<string> = new Set<ScalarType>([
  'string',
  'bytes',
  'bool',
  'uint32',
  'int32',
  'uint64',
]);

const DELIMITED: ReadonlySet<string> = new Set<ScalarType>(['string', 'bytes']);

/** Links the rows of the generator with each other. */
export function createSchema(rows: Readonly<Record<string, readonly FieldRow[]>>): Schema {
  const schema = new Map<string, Building>();
  for (const name of Object.keys(rows))
    schema.set(name, { name, fields: [], byId: new Map(), containers: [] });
  for (const [name, fields] of Object.entries(rows)) {
    const message = required(schema.get(name), name);
    const bits = new Map<string, number>();
    for (const row of [...fields].sort((left, right) => left.id - right.id)) {
      const bit = bits.get(row.group ?? row.name) ?? bits.size;
      bits.set(row.group ?? row.name, bit);
      assert(bit < BIT_COUNT, `${name} has more than ${BIT_COUNT} fields`);
      const isMessage = !SCALARS.has(row.type);
      const isDelimited = isMessage || row.label === 'map' || DELIMITED.has(row.type);
      const tag = row.id * 8 + (isDelimited ? WIRE_BYTES : WIRE_VARINT);
      const field: FieldSchema = isMessage
        ? { ...row, bit: 1 << bit, tag, message: required(schema.get(row.type), row.type) }
        : { ...row, bit: 1 << bit, tag };
      message.fields.push(field);
      message.byId.set(row.id, field);
      if (row.label === 'map' || row.label === 'repeated') message.containers.push(field);
    }
  }
  return schema;
}
