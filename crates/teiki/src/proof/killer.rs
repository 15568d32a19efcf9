//! The killer: starts `teiki run` again and again and kills it at random moments until the work is done.
//!
//! Most kills come after a random number of new charges and a random pause, so that they spread over the
//! work whatever the speed of the machine; one in [`SOON_EVERY`] comes a random pause after `ready`, and hits
//! the recovery from the kill before. The pauses grow and shrink with what is left of kills and of work. A
//! kill counts only if at that moment a request to charge had left teiki and its answer had not come back.

use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::Instant;

use super::stage::{Run, Stage};
use super::tap::{LOOK, Tap};
use crate::failure::{Code, Failure};

/// One kill in so many comes soon after `ready`.
const SOON_EVERY: u64 = 8;
/// The longest pause of such a kill, in milliseconds.
const SOON_MAX_MS: u64 = 200;
/// The longest pause after a number of charges, in milliseconds: about as long as a charge takes.
const AFTER_MAX_MS: u64 = 15;
/// This many kills are aimed at for 100 that are asked for, and these more; some do not count.
const AIM_PERCENT: u64 = 110;
const AIM_MORE: u64 = 3;
/// A run that sends no new charge for so long, and does not end, is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(180);
/// How often a run that ended with unknown charges is repeated.
const REPEATS_MAX: u32 = 5;

/// What is to be done.
pub(super) struct Target {
    pub(super) account: String,
    pub(super) renewals: u64,
    pub(super) kills_min: u64,
    pub(super) seed: u64,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Kills {
    /// Kills that count.
    pub(super) counted: u64,
    /// All kills.
    pub(super) all: u64,
    /// Requests that were under way at the counted ones.
    pub(super) in_flight: u64,
    /// New charges that were sent beyond those that a kill waited for, in the same burst.
    beyond: u64,
    /// From a restart after a kill to the first new charge, for every restart that came so far.
    pub(super) recoveries: Vec<Duration>,
}

/// Kills until the work is done and a run has ended by itself.
pub(super) async fn until_done(
    stage: &Stage,
    tap: &Tap,
    target: &Target,
    bar: &ProgressBar,
) -> Result<Kills, Failure> {
    let mut random = Random(target.seed);
    let mut kills = Kills::default();
    let mut repeats = 0;
    loop {
        let is_restart = kills.all > 0;
        tap.take_first_new();
        let started = Instant::now();
        let mut run = stage.run(&target.account, tap.url())?;
        run.ready().await?;
        let moment = Moment::draw(&mut random, target, &kills, tap.sent());
        let ended = tokio::select! {
            ended = run.ended() => Some(ended?),
            () = moment.come(tap, |sent| bar.set_position(sent)) => None,
            stuck = stuck(tap) => return Err(stuck),
        };
        match ended {
            None => {
                strike(&mut run, tap, &mut kills).await?;
                kills.beyond += moment.sent.map_or(0, |awaited| tap.sent().saturating_sub(awaited));
            }
            Some((Some(0), _)) => {}
            Some((Some(code), _)) if code == Code::Unfinished as i32 && repeats < REPEATS_MAX => repeats += 1,
            Some((_, said)) => return Err(Failure::failed(format!("teiki run failed: {said}"))),
        }
        if is_restart && let Some(first) = tap.take_first_new() {
            kills.recoveries.push(first.duration_since(started));
        }
        bar.set_message(format!("{} kills counted of {}", kills.counted, kills.all));
        if matches!(ended, Some((Some(0), _))) {
            return Ok(kills);
        }
    }
}

async fn strike(run: &mut Run, tap: &Tap, kills: &mut Kills) -> Result<(), Failure> {
    let before = tap.abandoned();
    if !run.kill().await? {
        return Ok(());
    }
    let in_flight = tap.all_closed().await - before;
    kills.all += 1;
    kills.counted += u64::from(in_flight > 0);
    kills.in_flight += in_flight;
    Ok(())
}

/// Returns when no new charge has been sent for [`STUCK_AFTER`].
async fn stuck(tap: &Tap) -> Failure {
    let mut sent = tap.sent();
    loop {
        tokio::time::sleep(STUCK_AFTER).await;
        if tap.sent() == sent {
            return Failure::failed(format!(
                "teiki run has sent nothing new for {} s and does not end",
                STUCK_AFTER.as_secs()
            ));
        }
        sent = tap.sent();
    }
}

/// When the next kill comes.
struct Moment {
    /// Not before so many charges have been sent in all; `None` is at once.
    sent: Option<u64>,
    /// And then so much later.
    pause: Duration,
}

impl Moment {
    fn draw(random: &mut Random, target: &Target, kills: &Kills, sent: u64) -> Self {
        let aim = target.kills_min * AIM_PERCENT / 100 + AIM_MORE;
        let wanted = aim.saturating_sub(kills.counted).max(1);
        let left = target.renewals.saturating_sub(sent);
        if left == 0 {
            // What is left is settling the last charges; this run may end by itself.
            return Self { sent: Some(u64::MAX), pause: Duration::ZERO };
        }
        if random.below(SOON_EVERY) == 0 {
            return Self { sent: None, pause: Duration::from_millis(random.below(SOON_MAX_MS + 1)) };
        }
        // Not every kill counts, and as charges are sent in bursts a kill uses up more work than it waits for.
        let kills_left = wanted * (kills.all + 1) / (kills.counted + 1) + 1;
        let beyond = kills.beyond / (kills.all + 1);
        let mean = (left / kills_left).saturating_sub(beyond);
        let charges = 1 + random.below(2 * mean + 1);
        Self { sent: Some(sent + charges), pause: Duration::from_millis(random.below(AFTER_MAX_MS + 1)) }
    }

    async fn come(&self, tap: &Tap, on_look: impl Fn(u64)) {
        loop {
            let sent = tap.sent();
            on_look(sent);
            if self.sent.is_none_or(|awaited| sent >= awaited) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        tokio::time::sleep(self.pause).await;
    }
}

/// Numbers that follow from a seed alone (SplitMix64).
struct Random(u64);

impl Random {
    /// A number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}
