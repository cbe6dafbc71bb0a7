/** Answers as they travel: the body's fields, or `error: {code, message, hint}`; with `v`, and the `id` of the request. */
import type { Body, Fault, Reply } from './bus.ts';
import { decodeBody, type Encoding, encodeBody, MESSAGE_VERSION } from './codec.ts';
import { fault } from './errors.ts';

/** Names the failure in the header of the services framework, so that its tools count and show it. */
export const ERROR_HEADER = 'Nats-Service-Error';
export const ERROR_CODE_HEADER = 'Nats-Service-Error-Code';

export interface EncodedAnswer {
  readonly bytes: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** The code of the failure, if it is one. */
  readonly failed?: string;
}

const encodeFault = (reason: Fault, id: unknown, encoding: Encoding): EncodedAnswer => {
  const { code, message, hint } = reason;
  const encoded = encodeBody({ v: MESSAGE_VERSION, id, error: { code, message, hint } }, encoding);
  const headers = { [ERROR_HEADER]: code, [ERROR_CODE_HEADER]: code === 'internal' ? '500' : '400' };
  if (encoded.ok) return { bytes: encoded.bytes, headers, failed: code };
  // Only a fault whose own text is too long comes here.
  return encodeFault(fault('internal', { cause: 'the answer is too large' }), id, encoding);
};

/** Never fails: an answer that cannot be encoded becomes the fault that says so. */
export const encodeAnswer = (reply: Reply, request: Body, encoding: Encoding): EncodedAnswer => {
  const id = typeof request.id === 'string' ? request.id.slice(0, 128) : undefined;
  if (!reply.ok) return encodeFault(reply.fault, id, encoding);
  const encoded = encodeBody({ ...reply.body, v: MESSAGE_VERSION, id }, encoding);
  return encoded.ok ? { bytes: encoded.bytes, headers: {} } : encodeFault(encoded.fault, id, encoding);
};

/** What another process calls a fault may lack what a sentence needs. */
export const isFault = (value: unknown): value is Fault => {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message, hint } = value as Record<string, unknown>;
  return typeof code === 'string' && typeof message === 'string' && typeof hint === 'string';
};

/** An answer under another id is somebody else's: whoever can make a service answer into a foreign inbox must not be believed. */
export const decodeAnswer = (bytes: Uint8Array, request: Body): Reply => {
  const decoded = decodeBody(bytes);
  if (!decoded.ok) return decoded;
  const { v, id, ...body } = decoded.body;
  if (v !== MESSAGE_VERSION) return { ok: false, fault: fault('bad-message', { field: 'v', cause: 'it is not 1' }) };
  if (request.id !== undefined && id !== request.id) {
    return { ok: false, fault: fault('bad-message', { field: 'id', cause: "it is not the request's" }) };
  }
  if (body.error === undefined) return { ok: true, body };
  if (isFault(body.error)) return { ok: false, fault: body.error };
  return { ok: false, fault: fault('bad-message', { field: 'error', cause: 'it has no code, message and hint' }) };
};
