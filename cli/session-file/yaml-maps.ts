/** Map channels in the words of the YAML format. */
import { z } from 'zod';
import type { SavedMap } from './model.ts';
import { text } from './yaml-values.ts';

const BITS = { 'signed-int-32': 32, 'signed-int-64': 64, 'signed-int-max': 64 } as const;
const KEYS = 4096;

export const mapSchema = z
  .strictObject({
    name: text,
    'value-type': z.enum(['signed-int-32', 'signed-int-64', 'signed-int-max']).default('signed-int-max'),
    'max-key-count': z.int().min(1).max(0xffff_ffff).default(KEYS),
    'update-policy': z.enum(['per-event', 'per-rule-match']).default('per-event'),
    'buffer-ownership': z.enum(['user', 'process']).default('user'),
    'dead-process-policy': z.enum(['drop', 'sum-into-shared']).optional(),
  })
  .refine((one) => one['buffer-ownership'] === 'process' || one['dead-process-policy'] === undefined, {
    error: '`dead-process-policy` needs `buffer-ownership: process`',
  });

export const mapIn = (one: z.output<typeof mapSchema>): SavedMap => ({
  name: one.name,
  bits: BITS[one['value-type']],
  maxKeys: one['max-key-count'],
  updatePolicy: one['update-policy'],
  ownership: one['buffer-ownership'],
  deadProcesses: one['buffer-ownership'] === 'process' ? (one['dead-process-policy'] ?? 'sum-into-shared') : null,
});

export const mapOut = ({ name, bits, maxKeys, updatePolicy, ownership, deadProcesses }: SavedMap): object => ({
  name,
  ...(bits === 32 ? { 'value-type': 'signed-int-32' } : {}),
  ...(maxKeys === KEYS ? {} : { 'max-key-count': maxKeys }),
  ...(updatePolicy === 'per-event' ? {} : { 'update-policy': updatePolicy }),
  ...(ownership === 'user' ? {} : { 'buffer-ownership': ownership }),
  ...(deadProcesses === null || deadProcesses === 'sum-into-shared' ? {} : { 'dead-process-policy': deadProcesses }),
});
