/** What a command is made of: what it does in one sentence, the schema of its request and of its answer. */
import { z } from 'zod';
import { envelope } from './schema.ts';

export const command = <R extends z.ZodRawShape, A extends z.ZodRawShape>(summary: string, request: R, answer: A) => ({
  summary,
  request: z.object({ ...envelope, ...request }),
  answer: z.object(answer),
});
