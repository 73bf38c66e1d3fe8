import type { MethodDefinition } from '@grpc/grpc-js';

/** How many messages go each way. */
export type MethodKind = 'unary' | 'server-stream' | 'bidi';

/**
 * One method of a service, with its codec. The caller gives a `RequestInput` and gets a `Response`;
 * the handler gets a `Request` and gives a `ResponseInput`.
 */
export interface Method<Kind extends MethodKind, RequestInput, Request, ResponseInput, Response> {
  readonly kind: Kind;
  /** `/conclave.v1.Service/Method` */
  readonly path: string;
  readonly encodeRequest: (value: RequestInput) => Buffer;
  readonly decodeRequest: (bytes: Buffer) => Request;
  readonly encodeResponse: (value: ResponseInput) => Buffer;
  readonly decodeResponse: (bytes: Buffer) => Response;
}

/** One method as the generator writes it. */
export interface MethodRow {
  readonly kind: MethodKind;
  readonly request: string;
  readonly response: string;
}

/** Any method, where the messages do not matter. */
// Both directions of variance at once.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyMethod = Method<MethodKind, any, any, any, any>;

/** The form that grpc-js takes, for servers and clients alike. */
export function grpcDefinition(method: AnyMethod): MethodDefinition<unknown, unknown> {
  return {
    path: method.path,
    requestStream: method.kind === 'bidi',
    responseStream: method.kind === 'server-stream' || method.kind === 'bidi',
    requestSerialize: method.encodeRequest,
    requestDeserialize: method.decodeRequest,
    responseSerialize: method.encodeResponse,
    responseDeserialize: method.decodeResponse,
  };
}
