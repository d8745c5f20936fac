"""What the document says about how it came about."""

from __future__ import annotations

from . import fixed_rules

METHOD = f"""\
- **End to end.** Each run is a rollout of `AgentCanary` with a `MemoryStore` and an injected clock: `assign`, the
  outcome with what the answer reports, `tick`, and whatever event follows. Nothing inside the library is called or
  replaced.
- **A run** is some 50 minutes of requests of simulated users, 5 a second (15,000), with an analysis every 10 seconds;
  every 5 in the tables of worse canaries, and each second where the canary is broken from the start. Both versions'
  answers to each request are drawn beforehand from the same luck, so that a harmless canary answers as stable would.
- **Seeds.** A run's random numbers come from its cell's name and its number, and so does the rollout's salt: each
  setting can be had again by itself (`python -m validation --full --only failures --cell "50 % fail"`).
- **Errors.** ± is one Monte-Carlo standard error, √(p (1 − p) / runs). Where none or all were counted, the end of
  Wilson's 95 % interval is given. A setting is *above alpha* when it is by more than three of the errors that it has if
  alpha is the truth.
- **Two alphas from one run.** The evidence does not know alpha, so a run that is not rolled back at 5 % is not at 1 %
  either. Runs that are rolled back are run again at 1 %.
- **Strict guardrails.** Harmless canaries meet guardrails that tolerate nothing (`tolerance=1.0`, for scores 0.0)
  unless they say so: that is as near to alarming as a harmless canary can be. Worse canaries meet the defaults unless
  they say so.
- **Users of very unequal use** have a lognormal activity with sigma 2: a few make most of the traffic. Correlation is
  that of two answers of the same user.
- **The original's rule** rolls back when the canary's success rate, of its last {fixed_rules.WINDOW:,} answers, is more
  than 5 points below stable's, from {fixed_rules.MIN_ANSWERS} answers on, and leaves a stage at 99 % success.
  **The fixed threshold** is that of Argo Rollouts and Flagger: each minute, the canary's success rate of that minute
  must be 99 %; a failed check holds, the {fixed_rules.FAILED_CHECKS}th rolls back (interval, threshold and bar of the
  first example in Flagger's manual). A minute without an answer of the canary fails no check here, which is kinder than
  Flagger is. Both see the very same requests, users and answers. Where stable itself fails in more than 1 % of the
  answers, no version can satisfy either.
- **"To everybody"** is the share of runs in which a rule promotes the worse canary to 100 %. A rule's failed answers
  are those of the canary until its rollback, or until everybody gets it.
"""

LIMITS = """\
- Simulated users are kinder than people: their laws change only where a setting says so, and what one user meets does
  not depend on another.
- One worker. That the totals of several add up to the same is tested, not simulated.
- Signals (`hold_on`) are the same tests and only hold. Fixed rules (`Threshold`, `SafetyMargin`) have no error control
  that could be measured, nor has the breaker.
- A canary that differs from stable at random from minute to minute, though not on the whole, is a difference to these
  tests.
"""
