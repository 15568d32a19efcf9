//! What a request does to a subscription, up to the point where money is needed.
//!
//! One transaction: hold the customer and the subscription, ask `billing::agreement`, and either make the course hold or
//! write the bill and its charge. In that case the subscription waits: until the payment is known nothing else changes it.

use billing::agreement::{self, Change, Course, DueNow, Named, New, Refused, Resumption, Step, TrialEnd};
use billing::calendar::Anchor;
use billing::event::Kind;
use billing::id::{DerivationKey, Slot, SubscriptionId};
use billing::invoice;
use billing::plan::Plan;
use billing::renewal::Terms;
use billing::subscription::State;
use db::Tx;
use jiff::Timestamp;

use super::applying::{apply, micros, scope_of, tell};
use super::on_paid::{Asked, OnPaid, Stamps};
use super::present::Present;
use super::{Side, SubscriptionRow, must_be_free, payment, store};
use crate::accounts::Account;
use crate::charges::Outgoing;
use crate::charges::request::{Begun, ToSend};
use crate::charges::settle::Times;
use crate::customers::{self, Held};
use crate::invoices::{self, scheduled};
use crate::line::Line;
use crate::plans;
use crate::web::ApiError;
use crate::web::metadata::{self, MetadataEdit};

/// What every request about a subscription brings.
pub struct Context<'a> {
    /// The installation's key.
    pub key: &'a DerivationKey,
    /// The line that the account is charged through.
    pub line: &'a Line,
    /// Whose.
    pub account: &'a Account,
    /// Account and mode.
    pub side: Side,
    /// Real time.
    pub now: Timestamp,
}

/// What is left to do when the transaction is committed.
#[derive(Debug)]
pub enum Prepared {
    /// Nothing: it holds.
    Done(SubscriptionId),
    /// This must be paid first.
    Charge(SubscriptionId, Box<Outgoing>, Timestamp),
}

impl Prepared {
    /// What is kept of it with an idempotency key, and what is to be sent.
    pub(crate) fn begun(self) -> (Begun, Option<ToSend>) {
        match self {
            Self::Done(id) => (Begun { about: id.to_string(), charge: None }, None),
            Self::Charge(id, outgoing, billing) => {
                let charge = Some(outgoing.charge.to_string());
                (Begun { about: id.to_string(), charge }, Some((outgoing, billing)))
            }
        }
    }
}

/// A new subscription.
#[derive(Clone, Debug)]
pub struct Create {
    /// Who pays.
    pub customer: String,
    /// What for.
    pub plan: String,
    /// How many of it.
    pub quantity: Option<i64>,
    /// Instead of the plan's trial.
    pub trial_end: Option<TrialEnd>,
    /// Whether a part of a period is charged in part.
    pub prorate: bool,
    /// The merchant's texts, as JSON.
    pub metadata: String,
    /// For its id.
    pub random: [u8; 32],
}

/// Makes a subscription.
pub fn create(tx: &mut Tx<'_>, context: &Context<'_>, create: &Create) -> Result<Prepared, ApiError> {
    let customer = customers::lock(tx, context.side, &create.customer, context.now)
        .map_err(|error| error.about_param("customer"))?;
    let plan = plans::hold(tx, context.side, &create.plan)
        .map_err(|error| error.about_param("plan").coded("invalid_plan"))?
        .terms()?;
    must_be_new(tx, &customer, (Named::Plan, &create.plan), None)?;
    let card = payment::card_of(tx, &customer).map_err(|error| error.about_param("customer"))?.id;
    let new = New {
        plan: &plan,
        quantity: quantity_of(create.quantity)?.unwrap_or(1),
        trial_end: create.trial_end,
        prorate: create.prorate,
    };
    let terms = Terms { account: &context.account.terms, calendar: context.account.calendar };
    let step = agreement::create(&terms, &new, customer.billing).map_err(refused)?;
    let created_at = step.then.period.start.min(customer.billing).as_microsecond();
    let id = SubscriptionId::random(Slot::of_key(&customer.id), customer.billing, &create.random);
    let mut row = SubscriptionRow {
        id,
        customer: customer.id.clone(),
        clock: customer.clock.clone(),
        plan: plan.id.clone(),
        next_plan: None,
        next_plan_from: None,
        plan_switch: None,
        switch_former: None,
        quantity: new.quantity.into(),
        payment_method: Some(card),
        // Until its first bill is paid: what is owed is not known to be paid.
        state: State::PastDue,
        calendar: terms.calendar,
        renewal_failure: context.account.renewal_failure,
        anchor: Anchor { on: context.account.terms.zone.day_of(customer.billing), at: None, cycle: 0 },
        is_billed: false,
        next_cycle: 0,
        period: micros(step.then.period),
        remaining: plan.instalments.map(i64::from),
        prorate: create.prorate,
        trial: None,
        paused_at: None,
        canceled_at: None,
        resumed_at: None,
        pending_invoice: None,
        change_count: 0,
        event_number: 0,
        metadata: create.metadata.clone(),
        started_at: created_at,
        created_at,
        sequence: context.now.as_microsecond(),
        is_deleted: false,
    };
    store::insert(tx, context.side, &row)?;
    let told = Told::of(Kind::SubscriptionCreated, Stamps::default());
    proceed(tx, context, &customer, (&mut row, step, told))
}

/// What an update changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Another plan, paid now.
    pub plan: Option<String>,
    /// The plan of the next cycle; `Some(None)` clears it.
    pub next_plan: Option<Option<String>>,
    /// How many of it.
    pub quantity: Option<i64>,
    /// Free until then, or an end of the trial.
    pub trial_end: Option<TrialEnd>,
    /// Whether a part of a period is charged in part; with a plan only.
    pub prorate: Option<bool>,
    /// The merchant's texts.
    pub metadata: Option<MetadataEdit>,
}

/// Changes a subscription.
pub fn update(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    id: &str,
    update: &Update,
) -> Result<Prepared, ApiError> {
    let (customer, mut row) = lock(tx, context, id)?;
    must_be_free(&row)?;
    let present = Present::read(tx, context, &row)?;
    let step = plan_update(tx, context, (&customer, &row, &present), update)?;
    let merged = metadata::merged(metadata::from_stored(&row.metadata)?, update.metadata.as_ref())?;
    let mut told = Told::of(Kind::SubscriptionUpdated, stamps(&row));
    told.metadata = Some(metadata::to_stored(&merged));
    proceed(tx, context, &customer, (&mut row, step, told))
}

/// What an update comes to. Writes nothing; the plans that it names are held.
pub fn plan_update(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    (customer, row, present): (&Held, &SubscriptionRow, &Present),
    update: &Update,
) -> Result<Step, ApiError> {
    let plan = other_plan(tx, context, (customer, row), (Named::Plan, update.plan.as_deref()))?;
    let next = match &update.next_plan {
        None => None,
        Some(None) => Some(None),
        Some(Some(next)) => Some(other_plan(tx, context, (customer, row), (Named::NextPlan, Some(next)))?),
    };
    let change = Change {
        plan: plan.as_ref(),
        quantity: quantity_of(update.quantity)?,
        trial_end: update.trial_end,
        prorate: update.prorate,
        next_plan: next.as_ref().map(Option::as_ref),
    };
    let terms = Terms { account: &context.account.terms, calendar: row.calendar };
    agreement::update(&terms, &present.agreement(row)?, &change, customer.billing).map_err(refused_of(row.id))
}

/// The plan that a request names. Error: there is none, or the customer has it.
fn other_plan(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    (customer, row): (&Held, &SubscriptionRow),
    (named, plan): (Named, Option<&str>),
) -> Result<Option<Plan>, ApiError> {
    let Some(plan) = plan else {
        return Ok(None);
    };
    let found = plans::hold(tx, context.side, plan)
        .map_err(|error| error.about_param(param_of_plan(named)).coded("invalid_plan"))?
        .terms()?;
    must_be_new(tx, customer, (named, plan), Some(row.id))?;
    Ok(Some(found))
}

/// Stops a subscription for now.
pub fn pause(tx: &mut Tx<'_>, context: &Context<'_>, id: &str) -> Result<Prepared, ApiError> {
    let (customer, mut row) = lock(tx, context, id)?;
    must_be_free(&row)?;
    let course = {
        let present = Present::read(tx, context, &row)?;
        agreement::pause(&present.agreement(&row)?).map_err(refused_of(row.id))?
    };
    let at = Some(customer.billing.as_microsecond());
    let stamps = Stamps { paused_at: at, canceled_at: row.canceled_at, resumed_at: None };
    let step = Step { due_now: DueNow::Nothing, then: course };
    proceed(tx, context, &customer, (&mut row, step, Told::of(Kind::SubscriptionPaused, stamps)))
}

/// Ends a subscription with its period.
pub fn cancel(tx: &mut Tx<'_>, context: &Context<'_>, id: &str) -> Result<Prepared, ApiError> {
    let (customer, mut row) = lock(tx, context, id)?;
    must_be_free(&row)?;
    let course = {
        let present = Present::read(tx, context, &row)?;
        let terms = Terms { account: &context.account.terms, calendar: row.calendar };
        agreement::cancel(&terms, &present.agreement(&row)?).map_err(refused_of(row.id))?
    };
    let at = Some(customer.billing.as_microsecond());
    let stamps = Stamps { canceled_at: at, ..stamps(&row) };
    let step = Step { due_now: DueNow::Nothing, then: course };
    proceed(tx, context, &customer, (&mut row, step, Told::of(Kind::SubscriptionCanceled, stamps)))
}

/// Lets a subscription go on, paying what that takes.
pub fn resume(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    id: &str,
    resumption: Resumption,
) -> Result<Prepared, ApiError> {
    let (customer, mut row) = lock(tx, context, id)?;
    must_be_free(&row)?;
    let present = Present::read(tx, context, &row)?;
    let terms = Terms { account: &context.account.terms, calendar: row.calendar };
    let step = agreement::resume(&terms, &present.agreement(&row)?, &resumption, customer.billing)
        .map_err(refused_of(row.id))?;
    let stamps =
        Stamps { paused_at: None, canceled_at: None, resumed_at: Some(customer.billing.as_microsecond()) };
    proceed(tx, context, &customer, (&mut row, step, Told::of(Kind::SubscriptionResumed, stamps)))
}

/// Pays the open invoice `id` of a subscription. Errors: it is not open; an older one is.
pub fn pay(tx: &mut Tx<'_>, context: &Context<'_>, id: &str) -> Result<Prepared, ApiError> {
    let subscription = open_invoice(tx, context, id)?;
    let (customer, mut row) = lock(tx, context, subscription.as_str())?;
    must_be_free(&row)?;
    // It may have been paid until the subscription was held.
    open_invoice(tx, context, id)?;
    match scheduled::oldest_open(tx, row.id)? {
        Some(oldest) if oldest.id.as_str() != id => {
            let message = format!("The invoice {} is older and still open: pay it first.", oldest.id);
            Err(ApiError::client("older_invoice_open", message))
        }
        Some(_) | None => payment::pay_oldest(tx, context, &customer, (&mut row, OnPaid::Debt.to_json()?)),
    }
}

/// The subscription of an open invoice. Error: it is not open, or of a single sale.
fn open_invoice(tx: &mut Tx<'_>, context: &Context<'_>, id: &str) -> Result<SubscriptionId, ApiError> {
    let invoice = invoices::find(tx, context.side, id)?;
    match (invoice.state, invoice.subscription) {
        (invoice::State::Open, Some(subscription)) => Ok(subscription),
        (state, _) => Err(invoices::not_open(id, state)),
    }
}

/// The subscription and its customer, both held. Error: there is none.
pub fn lock(tx: &mut Tx<'_>, context: &Context<'_>, id: &str) -> Result<(Held, SubscriptionRow), ApiError> {
    hold(tx, context, id, customers::lock)
}

/// The same to look at them, also while their clock is on its way.
pub fn look(tx: &mut Tx<'_>, context: &Context<'_>, id: &str) -> Result<(Held, SubscriptionRow), ApiError> {
    hold(tx, context, id, customers::look)
}

fn hold(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    id: &str,
    of_customer: impl FnOnce(&mut Tx<'_>, Side, &str, Timestamp) -> Result<Held, ApiError>,
) -> Result<(Held, SubscriptionRow), ApiError> {
    let none = || ApiError::not_found("subscription", id);
    let found = super::get(tx, context.side, id)?;
    let customer = of_customer(tx, context.side, &found.customer, context.now)?;
    let row = super::lock(tx, context.side, found.id)?.filter(|row| !row.is_deleted).ok_or_else(none)?;
    Ok((customer, row))
}

/// What is told, and shown beside the course, when a request holds.
struct Told {
    kind: Kind,
    stamps: Stamps,
    /// Other texts of the merchant.
    metadata: Option<String>,
}

impl Told {
    const fn of(kind: Kind, stamps: Stamps) -> Self {
        Self { kind, stamps, metadata: None }
    }
}

/// Makes the course hold, or writes what must be paid first.
fn proceed(
    tx: &mut Tx<'_>,
    context: &Context<'_>,
    customer: &Held,
    (row, step, told): (&mut SubscriptionRow, Step, Told),
) -> Result<Prepared, ApiError> {
    let times = Times { billing: customer.billing, real: context.now };
    let scope = scope_of(context.side, row);
    let Told { kind, stamps, metadata } = told;
    let asked = |course: Course, metadata: Option<String>| {
        let event = kind.as_str().to_owned();
        OnPaid::Asked(Box::new(Asked { course, event, stamps, metadata })).to_json()
    };
    match step.due_now {
        DueNow::Nothing => {
            row.metadata = metadata.unwrap_or_else(|| std::mem::take(&mut row.metadata));
            apply(tx, context.key, &scope, (row, &step.then, stamps), context.now)?;
            tell(tx, context.key, context.side, (row, kind), times)?;
            store::save(tx, row)?;
            Ok(Prepared::Done(row.id))
        }
        DueNow::Bill(bill) => {
            let on_paid = asked(step.then, metadata)?;
            payment::pay_bill(tx, context, customer, (row, &bill, on_paid))
        }
        DueNow::OldestOpen => {
            let on_paid = asked(step.then, metadata)?;
            payment::pay_oldest(tx, context, customer, (row, on_paid))
        }
    }
}

/// Error: the customer has a subscription to this plan.
fn must_be_new(
    tx: &mut Tx<'_>,
    customer: &Held,
    (named, plan): (Named, &str),
    besides: Option<SubscriptionId>,
) -> Result<(), ApiError> {
    if store::has_plan(tx, customer.side, &customer.id, (plan, besides))? {
        let message = format!("The customer {} is subscribed to the plan {plan} already.", customer.id);
        return Err(ApiError::param("already_subscribed", param_of_plan(named), message));
    }
    Ok(())
}

fn quantity_of(quantity: Option<i64>) -> Result<Option<u32>, ApiError> {
    let wrong = |_| ApiError::param("invalid_quantity", "quantity", "Invalid quantity.");
    quantity.map(|quantity| u32::try_from(quantity).map_err(wrong)).transpose()
}

fn stamps(row: &SubscriptionRow) -> Stamps {
    Stamps { paused_at: row.paused_at, canceled_at: row.canceled_at, resumed_at: row.resumed_at }
}

/// The parameter that names a plan.
const fn param_of_plan(named: Named) -> &'static str {
    match named {
        Named::Plan => "plan",
        Named::NextPlan => "next_cycle_plan",
    }
}

/// The parameter that a refusal is about.
const fn param_of(refused: &Refused) -> Option<&'static str> {
    match refused {
        Refused::InvalidTrialEnd => Some("trial_end"),
        Refused::CannotChangeProrateStatus | Refused::CannotProratedRefund => Some("prorate"),
        Refused::AlreadySubscribed(named) | Refused::InvalidPlan(named) => Some(param_of_plan(*named)),
        Refused::InvalidQuantity { .. } => Some("quantity"),
        Refused::InvalidAmount => Some("amount"),
        Refused::AlreadyPaused
        | Refused::AlreadyCanceled
        | Refused::SubscriptionWorked
        | Refused::NothingScheduled
        | Refused::BeyondCalendar
        | Refused::Bill(_) => None,
    }
}

/// A refusal of the rules about a subscription, which names it as PAY.JP does.
pub fn refused_of(id: SubscriptionId) -> impl Fn(Refused) -> ApiError {
    move |it| {
        let already = |how: &str| ApiError::client(it.code(), format!("\"{id}\" {how}."));
        match it {
            Refused::AlreadyPaused => already("has already been paused"),
            Refused::AlreadyCanceled => already("has already been canceled"),
            Refused::SubscriptionWorked => already("is running already"),
            Refused::AlreadySubscribed(_)
            | Refused::InvalidTrialEnd
            | Refused::CannotChangeProrateStatus
            | Refused::InvalidPlan(_)
            | Refused::InvalidQuantity { .. }
            | Refused::InvalidAmount
            | Refused::NothingScheduled
            | Refused::CannotProratedRefund
            | Refused::BeyondCalendar
            | Refused::Bill(_) => refused(it),
        }
    }
}

/// A refusal of the rules in the words of the API.
pub fn refused(refused: Refused) -> ApiError {
    match &refused {
        Refused::Bill(cause) => ApiError::inside(cause.to_string()),
        Refused::AlreadyPaused
        | Refused::AlreadyCanceled
        | Refused::AlreadySubscribed(_)
        | Refused::SubscriptionWorked
        | Refused::InvalidTrialEnd
        | Refused::CannotChangeProrateStatus
        | Refused::InvalidPlan(_)
        | Refused::InvalidQuantity { .. }
        | Refused::InvalidAmount
        | Refused::NothingScheduled
        | Refused::CannotProratedRefund
        | Refused::BeyondCalendar => {
            let text = refused.to_string();
            let mut letters = text.chars();
            let sentence =
                letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>());
            let error = ApiError::client(refused.code(), format!("{}.", sentence.unwrap_or_default()));
            match param_of(&refused) {
                Some(param) => error.about_param(param),
                None => error,
            }
        }
    }
}
