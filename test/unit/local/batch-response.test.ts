import { describe, expect, it } from 'vitest';
import { failedMessageIds } from '../../../lib/local/runner/events.ts';

describe('partial batch responses', () => {
  const ids = ['a', 'b', 'c'];
  const failed = (response: unknown): string[] => [...failedMessageIds(response, ids)].sort();

  it('that report nothing are success', () => {
    for (const response of [null, undefined, {}, { batchItemFailures: [] }, { batchItemFailures: null }]) {
      expect(failed(response)).toEqual([]);
    }
  });

  it('fail exactly what they name', () => {
    expect(failed({ batchItemFailures: [{ itemIdentifier: 'b' }] })).toEqual(['b']);
    expect(failed({ batchItemFailures: [{ itemIdentifier: 'c' }, { itemIdentifier: 'a' }] })).toEqual([
      'a',
      'c',
    ]);
  });

  it('that are malformed or name a stranger fail the whole batch', () => {
    for (const failures of [
      'b',
      {},
      [{}],
      [null],
      [{ itemIdentifier: '' }],
      [{ itemIdentifier: null }],
      [{ bad: 'b' }],
      [{ itemIdentifier: 'z' }],
    ]) {
      expect(failed({ batchItemFailures: failures })).toEqual(ids);
    }
    expect(failed('text')).toEqual(ids);
  });
});
