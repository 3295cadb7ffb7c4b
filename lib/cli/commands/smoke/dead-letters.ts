import { deadLetters } from '../../../jobs/deployed-queues.ts';
import type { JobKind } from '../../../jobs/messages.ts';
import { SkytoolsError } from '../../../platform/errors.ts';

/**
 * No message of the deployment was given up since `before`.
 *
 * @param before what {@link deadLetters} said then
 * @throws SkytoolsError SMOKE_DEAD_LETTERS
 */
export async function checkDeadLetters(stack: string, before: ReadonlyMap<JobKind, number>): Promise<string> {
  const now = await deadLetters(stack);
  const said = (counts: ReadonlyMap<JobKind, number>) =>
    [...counts].map(([kind, count]) => `${count} of ${kind}`).join(', ');
  const more = new Map(
    [...now].flatMap(([kind, count]) => {
      const grown = count - (before.get(kind) ?? 0);
      return grown > 0 ? [[kind, grown] as const] : [];
    }),
  );
  if (more.size > 0) {
    throw new SkytoolsError('SMOKE_DEAD_LETTERS', `messages were given up meanwhile: ${said(more)}`, {
      hint: 'the logs of the function say why (docs/operating.md, "Dead letters")',
    });
  }
  return now.size === 0 ? 'none' : `none is new; there from before: ${said(now)}`;
}
