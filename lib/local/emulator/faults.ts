/**
 * What may go wrong with a request.
 *
 * - `status`: refused before anything is done, with this status and code (503 SlowDown, 500 InternalError, 409 ...).
 * - `silence`: done, but the answer never comes: the client runs into its own time-out.
 * - `reset`: the connection is cut; before the work, or after it with `afterSuccess`.
 * - `truncate`: the answer's head promises the whole body, half of it comes, then the connection is cut.
 * - `corrupt`: one byte of the answer's body is another.
 * - `delay`: done after so many milliseconds.
 */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset'; readonly afterSuccess?: boolean }
  | { readonly kind: 'truncate' }
  | { readonly kind: 'corrupt' }
  | { readonly kind: 'delay'; readonly milliseconds: number };

/** Which requests a fault strikes. Without `probability` and `count` it strikes each of them. */
export interface FaultRule {
  /** AWS's name of the operation (`PutObject`, `ReceiveMessage`), or `*`. */
  readonly operation: string;
  /** Only requests whose key or queue name this matches. */
  readonly resource?: RegExp;
  readonly fault: Fault;
  /** 0 to 1. */
  readonly probability?: number;
  /** Strikes at most so many times. */
  readonly count?: number;
}

/** A source of numbers from 0 up to 1, such as Math.random. */
export type Random = () => number;

/** A repeatable random source (mulberry32), so that a failing run can be run again from its seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The rules in force, and how often each has struck. */
export class FaultPlan {
  private readonly random: Random;
  private rules: { readonly rule: FaultRule; struck: number }[] = [];
  private readonly tally = new Map<string, number>();

  constructor(random: Random, rules: readonly FaultRule[] = []) {
    this.random = random;
    for (const rule of rules) this.add(rule);
  }

  /** Puts a rule in force; the returned function takes it out again and tells how often it struck. */
  add(rule: FaultRule): () => number {
    const entry = { rule, struck: 0 };
    this.rules.push(entry);
    return () => {
      this.rules = this.rules.filter((other) => other !== entry);
      return entry.struck;
    };
  }

  clear(): void {
    this.rules = [];
  }

  /** How often faults have struck, by `operation kind`. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.tally);
  }

  /** The fault for this request, the first rule that strikes winning. */
  strike(operation: string, resource: string): Fault | undefined {
    for (const entry of this.rules) {
      const { rule } = entry;
      if (rule.operation !== '*' && rule.operation !== operation) continue;
      if (rule.resource && !rule.resource.test(resource)) continue;
      if (rule.count !== undefined && entry.struck >= rule.count) continue;
      if (rule.probability !== undefined && this.random() >= rule.probability) continue;
      entry.struck += 1;
      const name = `${operation} ${rule.fault.kind}`;
      this.tally.set(name, (this.tally.get(name) ?? 0) + 1);
      return rule.fault;
    }
    return undefined;
  }
}
