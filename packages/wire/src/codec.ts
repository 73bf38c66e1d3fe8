import { required } from '@conclave/kernel';
import { decodeMessage } from './decode.js';
import { encodeMessage } from './encode.js';
import type { ErrorDetail, ErrorDetailInput } from './generated/conclave/v1/ErrorDetail.js';
import { MESSAGES, SERVICES } from './generated/descriptor.js';
import type { Services } from './generated/services.js';
import type { AnyMethod, MethodRow } from './method.js';
import { createSchema } from './schema.js';
import type { MessageSchema, Schema } from './schema.js';

const PACKAGE = 'conclave.v1';

interface Loaded {
  readonly services: Services;
  readonly schema: Schema;
}

let loaded: Loaded | undefined;

function messageOf(schema: Schema, name: string): MessageSchema {
  return required(schema.get(name), name);
}

function methodOf(schema: Schema, path: string, row: MethodRow): AnyMethod {
  const request = messageOf(schema, row.request);
  const response = messageOf(schema, row.response);
  return {
    kind: row.kind,
    path,
    encodeRequest: (value: object) => encodeMessage(request, value),
    decodeRequest: (bytes) => decodeMessage(request, bytes),
    encodeResponse: (value: object) => encodeMessage(response, value),
    decodeResponse: (bytes) => decodeMessage(response, bytes),
  };
}

function load(): Loaded {
  const schema = createSchema(MESSAGES);
  const services: Record<string, Record<string, AnyMethod>> = {};
  for (const [service, rows] of Object.entries(SERVICES)) {
    const methods: Record<string, AnyMethod> = {};
    for (const [name, row] of Object.entries(rows)) {
      methods[name] = methodOf(schema, `/${PACKAGE}.${service}/${name}`, row);
    }
    services[service] = methods;
  }
  return { services: services as unknown as Services, schema };
}

function wire(): Loaded {
  loaded ??= load();
  return loaded;
}

/**
 * Every service with its methods and their codec; built once per process, at the first call, without
 * reading a file or generating code. Field names are in camel case, 64-bit integers are numbers up
 * to 2^53-1, bytes are Buffers, absent sub-messages are `null` (absent members of a oneof and absent
 * `optional` fields: no property).
 *
 * Encoding throws `CV_ARGUMENT_INVALID` for values that do not fit their field, decoding
 * `CV_PROTOCOL` for malformed bytes and `CV_LIMIT_EXCEEDED` for too many items.
 */
export function loadWire(): Services {
  return wire().services;
}

/** The bytes of the trailer of a failed call. */
export function encodeErrorDetail(detail: ErrorDetailInput): Buffer {
  return encodeMessage(messageOf(wire().schema, 'ErrorDetail'), detail);
}

/** Throws `CV_PROTOCOL` for malformed bytes. */
export function decodeErrorDetail(bytes: Buffer): ErrorDetail {
  return decodeMessage(messageOf(wire().schema, 'ErrorDetail'), bytes) as ErrorDetail;
}
