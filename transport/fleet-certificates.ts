/** The fleet's certificate authority and the certificates of its servers. */
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { writeWhole } from './private-file.ts';

export interface Authority {
  readonly key: string;
  readonly certificate: string;
}

const AUTHORITY_YEARS = 20;
const SERVER_YEARS = 10;
const DAY_MS = 86_400_000;

/** From yesterday: the clock of a machine that is to believe it may be behind. */
const validFor = (years: number) => {
  const notAfterDate = new Date();
  notAfterDate.setFullYear(notAfterDate.getFullYear() + years);
  return { notBeforeDate: new Date(Date.now() - DAY_MS), notAfterDate };
};

const EC = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

/** `ca.key` and `ca.pem` of the directory, made when they are not there. */
export const loadAuthority = async (directory: string): Promise<Authority> => {
  const keyPath = join(directory, 'ca.key');
  const certificatePath = join(directory, 'ca.pem');
  // The certificate is written last: when it is there, so is its key.
  if (!existsSync(certificatePath)) {
    const made = await generate([{ name: 'commonName', value: 'weft fleet' }], {
      ...EC,
      ...validFor(AUTHORITY_YEARS),
      extensions: [
        { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    });
    writeWhole(keyPath, made.private, 0o600);
    writeWhole(certificatePath, made.cert, 0o644);
  }
  return { key: readFileSync(keyPath, 'utf8'), certificate: readFileSync(certificatePath, 'utf8') };
};

/** By an IP address Node's NATS client connects without a name, and then compares the certificate with this one. */
const NAMELESS = 'localhost';

/** A server is also a client, of the other servers of its cluster. */
export const certify = async (
  authority: Authority,
  name: string,
  addresses: readonly string[],
): Promise<{ readonly key: string; readonly certificate: string }> => {
  const altNames = [...new Set([...addresses, NAMELESS])].map((address) =>
    isIP(address) ? ({ type: 7, ip: address } as const) : ({ type: 2, value: address } as const),
  );
  const made = await generate([{ name: 'commonName', value: name }], {
    ...EC,
    ...validFor(SERVER_YEARS),
    ca: { key: authority.key, cert: authority.certificate },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames },
    ],
  });
  return { key: made.private, certificate: made.cert };
};
