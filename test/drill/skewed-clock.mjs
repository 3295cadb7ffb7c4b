// Loaded before a function (NODE_OPTIONS): its clock is wrong by up to DRILL_SKEW_MS, another amount in each process.

const skew = Math.round((Math.random() * 2 - 1) * Number(process.env.DRILL_SKEW_MS));
const RightDate = Date;

globalThis.Date = class extends RightDate {
  constructor(...parts) {
    if (parts.length === 0) super(RightDate.now() + skew);
    else super(...parts);
  }

  static now() {
    return RightDate.now() + skew;
  }
};

// The deadline of an invocation is told by the machine that the function runs on, so it is wrong by the same amount.
const emit = process.emit;
process.emit = function (name, message, ...rest) {
  const told =
    name === 'message' && message?.deadline ? { ...message, deadline: message.deadline + skew } : message;
  return emit.call(this, name, told, ...rest);
};
