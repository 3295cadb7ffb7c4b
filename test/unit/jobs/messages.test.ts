import { describe, expect, it } from 'vitest';
import { parseJob } from '../../../lib/jobs/messages.ts';

describe('a message', () => {
  it('is read from its body', () => {
    expect(parseJob('tick', '{"v":1,"kind":"tick","database":"app","spread":true}')).toEqual({
      v: 1,
      kind: 'tick',
      database: 'app',
      spread: true,
    });
  });

  it.each([
    ['no JSON', 'tick!'],
    ['another kind', '{"v":1,"kind":"consume","database":"app","consumer":"c"}'],
    ['another version', '{"v":2,"kind":"tick","database":"app"}'],
    ['no database', '{"v":1,"kind":"tick"}'],
    ['an empty database', '{"v":1,"kind":"tick","database":""}'],
    ['a count that is none', '{"v":1,"kind":"tick","database":"app","chain":{"hop":-1,"stalled":0}}'],
    ['nothing', undefined],
  ])('with %s is refused with a code', (_, body) => {
    expect(() => parseJob('tick', body)).toThrowError(expect.objectContaining({ code: 'JOB_INVALID' }));
  });
});
