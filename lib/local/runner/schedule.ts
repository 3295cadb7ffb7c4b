/** When a schedule fires next, strictly after a moment (both in milliseconds since 1970), or never again. */
export interface Schedule {
  next(after: number): number | undefined;
}

const RATE_UNITS_MS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const DAY_MS = 86_400_000;

/**
 * Reads an EventBridge schedule expression: `rate(5 minutes)` or `cron(minutes hours day-of-month month day-of-week
 * year)`, evaluated in UTC, with the wildcards `, - * ? / L W #`.
 *
 * @param created the moment from which rates count
 * @throws RangeError which says what is wrong, as EventBridge would refuse it
 */
export function parseSchedule(expression: string, created: number): Schedule {
  const match = /^(rate|cron)\(([^()]*)\)$/.exec(expression.trim());
  if (!match) throw new RangeError(`schedule "${expression}" is neither rate(...) nor cron(...)`);
  const [, kind, inner = ''] = match;
  return kind === 'rate' ? parseRate(inner, created) : parseCron(inner.trim());
}

function parseRate(inner: string, created: number): Schedule {
  const match = /^([1-9]\d*) (minute|hour|day)(s?)$/.exec(inner);
  const count = Number(match?.[1]);
  if (!match || (count === 1) !== (match[3] === '')) {
    throw new RangeError(
      `rate(${inner}) must be a number and minute(s), hour(s) or day(s), singular only for 1`,
    );
  }
  const period = count * (RATE_UNITS_MS[match[2] as string] as number);
  return { next: (after) => created + (Math.max(Math.floor((after - created) / period), 0) + 1) * period };
}

function parseCron(inner: string): Schedule {
  const fields = inner.split(/ +/);
  if (fields.length !== 6) throw new RangeError(`cron(${inner}) must have six fields`);
  const [minutes, hours, dayOfMonth, months, dayOfWeek, years] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  if ((dayOfMonth === '?') === (dayOfWeek === '?')) {
    throw new RangeError(`cron(${inner}) must have ? in exactly one of day-of-month and day-of-week`);
  }
  const minute = parseField('minutes', minutes, 0, 59);
  const hour = parseField('hours', hours, 0, 23);
  const month = parseField('month', months, 1, 12, MONTHS);
  const year = parseField('year', years, 1970, 2199);
  const day = dayOfWeek === '?' ? parseDayOfMonth(dayOfMonth) : parseDayOfWeek(dayOfWeek);

  return {
    next(after) {
      const earliest = Math.floor(after / 60_000) * 60_000 + 60_000;
      const start = new Date(earliest);
      let date = new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth(), start.getUTCDate()));
      while (date.getUTCFullYear() <= 2199) {
        if (!year.has(date.getUTCFullYear())) {
          date = new Date(Date.UTC(date.getUTCFullYear() + 1, 0, 1));
          continue;
        }
        if (month.has(date.getUTCMonth() + 1) && day(date)) {
          for (const h of hour) {
            for (const m of minute) {
              const moment = date.getTime() + (h * 60 + m) * 60_000;
              if (moment >= earliest) return moment;
            }
          }
        }
        date = new Date(date.getTime() + DAY_MS);
      }
      return undefined;
    },
  };
}

type DayTest = (date: Date) => boolean;

function parseDayOfMonth(text: string): DayTest {
  if (text === 'L') return (date) => date.getUTCDate() === lastDay(date);
  const weekday = /^(\d+|L)W$/.exec(text);
  if (weekday) {
    if (weekday[1] !== 'L') requireRange('day-of-month', Number(weekday[1]), 1, 31, text);
    return (date) => {
      const wanted = weekday[1] === 'L' ? lastDay(date) : Number(weekday[1]);
      return wanted <= lastDay(date) && date.getUTCDate() === nearestWeekday(date, wanted);
    };
  }
  const days = parseField('day-of-month', text, 1, 31);
  return (date) => days.has(date.getUTCDate());
}

function parseDayOfWeek(text: string): DayTest {
  const nth = /^(\w{3}|\d)#([1-5])$/.exec(text);
  if (nth) {
    const wanted = parseValue('day-of-week', nth[1] as string, 1, 7, WEEKDAYS);
    return (date) => date.getUTCDay() + 1 === wanted && Math.ceil(date.getUTCDate() / 7) === Number(nth[2]);
  }
  const last = /^(\w{3}|\d)L$/.exec(text);
  if (last) {
    const wanted = parseValue('day-of-week', last[1] as string, 1, 7, WEEKDAYS);
    return (date) => date.getUTCDay() + 1 === wanted && date.getUTCDate() > lastDay(date) - 7;
  }
  // Alone, L is the last day of the week.
  const days = parseField('day-of-week', text === 'L' ? 'SAT' : text, 1, 7, WEEKDAYS);
  return (date) => days.has(date.getUTCDay() + 1);
}

/** The values of a field, in ascending order. */
function parseField(
  field: string,
  text: string,
  minimum: number,
  maximum: number,
  names: readonly string[] = [],
): ReadonlySet<number> {
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const match = /^(?:\*|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(item);
    if (!match) throw new RangeError(`${field} "${text}" of a cron expression cannot be read`);
    const [, from, to, step] = match;
    const first = from === undefined ? minimum : parseValue(field, from, minimum, maximum, names);
    const last =
      to !== undefined
        ? parseValue(field, to, minimum, maximum, names)
        : from === undefined || step !== undefined
          ? maximum
          : first;
    const increment = step === undefined ? 1 : Number(step);
    if (increment < 1) throw new RangeError(`${field} "${text}" of a cron expression has step 0`);
    // A range such as FRI-MON goes round.
    const end = last < first ? last + (maximum - minimum + 1) : last;
    for (let value = first; value <= end; value += increment) {
      values.add(value > maximum ? value - (maximum - minimum + 1) : value);
    }
  }
  return new Set([...values].sort((left, right) => left - right));
}

function parseValue(
  field: string,
  text: string,
  minimum: number,
  maximum: number,
  names: readonly string[],
): number {
  const named = names.indexOf(text.toUpperCase());
  const value = named >= 0 ? named + minimum : Number(text);
  requireRange(field, value, minimum, maximum, text);
  return value;
}

function requireRange(field: string, value: number, minimum: number, maximum: number, text: string): void {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new RangeError(`${field} "${text}" of a cron expression is not from ${minimum} to ${maximum}`);
  }
}

function lastDay(date: Date): number {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
}

/** The weekday nearest to a day of this month, without leaving the month. */
function nearestWeekday(date: Date, day: number): number {
  const weekday = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), day)).getUTCDay();
  if (weekday === 6) return day > 1 ? day - 1 : day + 2;
  if (weekday === 0) return day < lastDay(date) ? day + 1 : day - 2;
  return day;
}
