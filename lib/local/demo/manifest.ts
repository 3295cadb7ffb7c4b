import { existsSync } from 'node:fs';
import path from 'node:path';
import { type FunctionSpec, functions, MAX_RECEIVES, VISIBILITY_FACTOR } from '../../../infra/functions.ts';
import type { JobKind } from '../../jobs/messages.ts';
import { queueVariable } from '../../jobs/sender.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { SqsService } from '../emulator/sqs/service.ts';
import type { FunctionDefinition, Manifest, QueueDefinition } from '../runner/manifest.ts';

/** The bucket of the idle hints. */
export const HINTS_BUCKET = 'hints';

export const deadLetterQueue = (kind: JobKind): string => `${kind}-dead`;

/**
 * The deployed functions as the local runner takes them: the same bundles, queues and limits as in serverless.yml.
 *
 * @param directory `dist/functions`
 * @throws SkytoolsError LOCAL_NOT_BUILT
 */
export function localManifest(directory: string): Manifest {
  return {
    functions: functions.map((spec) => definition(spec, directory)),
    queues: functions.flatMap((spec) =>
      spec.triggers.flatMap((trigger): QueueDefinition[] =>
        'queue' in trigger
          ? [
              { name: deadLetterQueue(trigger.queue), visibilityTimeoutSeconds: 30 },
              {
                name: trigger.queue,
                visibilityTimeoutSeconds: VISIBILITY_FACTOR * spec.timeoutSeconds,
                deadLetter: { queue: deadLetterQueue(trigger.queue), maxReceiveCount: MAX_RECEIVES },
              },
            ]
          : [],
      ),
    ),
  };
}

function definition(spec: FunctionSpec, directory: string): FunctionDefinition {
  const bundle = path.join(directory, spec.name, 'index.mjs');
  if (!existsSync(bundle)) {
    throw new SkytoolsError('LOCAL_NOT_BUILT', `function ${spec.name} has not been built`, {
      subject: { file: bundle },
      hint: 'run `npm run build` first; `npm start` does so',
    });
  }
  return {
    name: spec.name,
    bundle,
    timeoutSeconds: spec.timeoutSeconds,
    memoryMb: spec.memoryMb,
    environment: {
      ...Object.fromEntries(spec.sends.map((kind) => [queueVariable(kind), { queueUrl: kind }])),
      ...(spec.hints === 'none' ? {} : { SKYTOOLS_HINTS_BUCKET: HINTS_BUCKET }),
    },
    events: spec.triggers.map((trigger) =>
      'schedule' in trigger || 'functionUrl' in trigger
        ? trigger
        : {
            queue: trigger.queue,
            batchSize: trigger.batchSize,
            maximumConcurrency: trigger.maximumConcurrency,
            reportBatchItemFailures: true,
          },
    ),
  };
}

/** Messages that were given up, in all dead-letter queues. */
export async function deadLetters(sqs: SqsService): Promise<number> {
  let messages = 0;
  for (const { triggers } of functions) {
    for (const trigger of triggers) {
      if (!('queue' in trigger)) continue;
      const input = { QueueUrl: deadLetterQueue(trigger.queue), AttributeNames: ['All'] };
      const { Attributes } = await sqs.run('GetQueueAttributes', input, AbortSignal.abort());
      messages += Number((Attributes as Record<string, string>).ApproximateNumberOfMessages);
    }
  }
  return messages;
}
