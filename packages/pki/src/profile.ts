import 'reflect-metadata';

import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
} from '@peculiar/x509';

import { toHex } from '@conclave/kernel';

import { KEY_PURPOSE } from './key-purpose.js';
import { identityUri, managerName } from './names.js';
import type { CertificateRole } from './names.js';
import { spkiHashOf } from './public-key.js';

const NAME_CONSTRAINTS = '2.5.29.30';
const KEY_IDENTIFIER_BYTES = 20;
const SEQUENCE = 0x30;
const PERMITTED_SUBTREES = 0xa0;
const DNS_NAME = 0x82;
const URI_NAME = 0x86;
const encoder = new TextEncoder();

/** The extensions of a root: may sign leaves of its own cluster, nothing else. */
export function rootExtensions(clusterId: string, spkiDer: Uint8Array): Extension[] {
  return [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    new Extension(NAME_CONSTRAINTS, true, nameConstraints(clusterId)),
    new SubjectKeyIdentifierExtension(keyIdentifier(spkiDer)),
  ];
}

/** What a leaf certificate says. */
export interface LeafProfile {
  readonly clusterId: string;
  readonly role: CertificateRole;
  readonly id: string;
  readonly spkiDer: Uint8Array;
  readonly rootSpkiDer: Uint8Array;
}

/** The extensions of a leaf. */
export function leafExtensions(profile: LeafProfile): Extension[] {
  const { clusterId, role, id } = profile;
  const isManager = role === 'manager';
  const uri = { type: 'url' as const, value: identityUri(clusterId, role, id) };
  const dns = { type: 'dns' as const, value: managerName(clusterId) };
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension(
      isManager ? [KEY_PURPOSE.server, KEY_PURPOSE.client] : [KEY_PURPOSE.client],
    ),
    new SubjectAlternativeNameExtension(isManager ? [uri, dns] : [uri]),
    new SubjectKeyIdentifierExtension(keyIdentifier(profile.spkiDer)),
    issuedBy(profile.rootSpkiDer),
  ];
}

/** Names the key that signs: all roots of a cluster have the same subject. */
export function issuedBy(spkiDer: Uint8Array): Extension {
  return new AuthorityKeyIdentifierExtension(keyIdentifier(spkiDer));
}

/** RFC 7093 section 2 method 4: a truncated SHA-256 of the public key info. */
function keyIdentifier(spkiDer: Uint8Array): string {
  return toHex(spkiHashOf(spkiDer).subarray(0, KEY_IDENTIFIER_BYTES));
}

/** Permits `*.<cluster>.internal` and URIs whose host is the cluster id (RFC 5280, 4.2.1.10). */
function nameConstraints(clusterId: string): Uint8Array<ArrayBuffer> {
  const dns = element(SEQUENCE, element(DNS_NAME, encoder.encode(`${clusterId}.internal`)));
  const uri = element(SEQUENCE, element(URI_NAME, encoder.encode(clusterId)));
  return element(SEQUENCE, element(PERMITTED_SUBTREES, dns, uri));
}

/** One DER element; a label has at most 63 characters, so more than 255 bytes cannot occur. */
function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = Buffer.concat(parts);
  const head = content.length < 128 ? [tag, content.length] : [tag, 0x81, content.length];
  return Uint8Array.from([...head, ...content]);
}
