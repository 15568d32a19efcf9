//! The words of the demo in English and Japanese.
//!
//! One table for each language with the same fields, so that a word that is missing does not build. What is in
//! braces is filled in by `view`.

use billing::decline::DeclineClass;

use super::report::What;

/// Every text of the report and of the progress.
pub(super) struct Words {
    pub(super) importing: &'static str,
    pub(super) billing: &'static str,
    pub(super) checking: &'static str,
    pub(super) charged: &'static str,
    pub(super) failed: &'static str,
    pub(super) confirming: &'static str,
    pub(super) title: &'static str,
    pub(super) period: &'static str,
    pub(super) subscribers: &'static str,
    pub(super) place: &'static str,
    pub(super) head_charges: &'static str,
    pub(super) succeeded: &'static str,
    pub(super) declined: &'static str,
    pub(super) lost: &'static str,
    pub(super) lost_note: &'static str,
    pub(super) still_unknown: &'static str,
    pub(super) still_unknown_note: &'static str,
    pub(super) head_reasons: &'static str,
    pub(super) head_open: &'static str,
    pub(super) nothing_open: &'static str,
    pub(super) invoices: &'static str,
    pub(super) total: &'static str,
    pub(super) open_note: &'static [&'static str],
    pub(super) head_revenue: &'static str,
    pub(super) head_checks: &'static str,
    pub(super) ledger: &'static str,
    pub(super) ledger_balances: &'static str,
    pub(super) ledger_wrong: &'static str,
    pub(super) doctor: &'static str,
    pub(super) doctor_ok: &'static str,
    pub(super) doctor_wrong: &'static str,
    pub(super) book: &'static str,
    pub(super) book_agrees: &'static str,
    pub(super) book_wrong: &'static str,
    pub(super) book_note: &'static str,
    pub(super) took: &'static str,
    pub(super) head_next: &'static str,
    pub(super) status: fn(&str) -> Option<&'static str>,
    pub(super) reason: fn(&str) -> Option<&'static str>,
    pub(super) class: fn(DeclineClass) -> Class,
    pub(super) what: fn(What) -> &'static str,
}

/// A class of declines, for people.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) next_step: &'static str,
}

const fn class(name: &'static str, next_step: &'static str) -> Class {
    Class { name, next_step }
}

pub(super) static ENGLISH: Words = Words {
    importing: "importing subscribers",
    billing: "billing",
    checking: "checking the books and the gateway's book",
    charged: "charged",
    failed: "failed",
    confirming: "being confirmed",
    title: "teiki demo: a simulated year of recurring payments",
    period: "period",
    subscribers: "subscribers",
    place: "kept in",
    head_charges: "Charges",
    succeeded: "succeeded",
    declined: "declined",
    lost: "answer lost",
    lost_note: "found out by asking again under the same key: none was charged twice",
    still_unknown: "outcome unknown",
    still_unknown_note: "being asked about; never charged anew until it is known",
    head_reasons: "Declined, by reason",
    head_open: "Still open, with the next step",
    nothing_open: "nothing",
    invoices: "invoices",
    total: "in all",
    open_note: &[
        "(*) Not built yet: automatic retries and payment links. Until then these invoices stay open,",
        "    `teiki status` shows them, and the next periods are charged as they come due.",
    ],
    head_revenue: "Collected by month of the due date",
    head_checks: "Checks",
    ledger: "books",
    ledger_balances: "balance: receivable {receivable} = open invoices {owed}; at the gateway {gateway} = charged",
    ledger_wrong: "DO NOT BALANCE: receivable {receivable}, open invoices {owed}, at the gateway {gateway}",
    doctor: "doctor",
    doctor_ok: "no problem: every invoice agrees with its charges and its ledger entries",
    doctor_wrong: "{problems} problems; run the doctor below",
    book: "gateway's book",
    book_agrees: "agrees: {double} double, {missed} missed",
    book_wrong: "DOES NOT AGREE: {double} double, {missed} missed, {wrong} of a wrong amount",
    book_note: "({due} due by subscribers.csv; in the book {collected} collected, {declined} declined)",
    took: "All of it took {seconds} s.",
    head_next: "What to try next",
    status: |status| match status {
        "past_due" => Some("past due"),
        // Nothing else ends a subscription of the demo.
        "canceled" => Some("ended after the last instalment"),
        _ => None,
    },
    reason: |_| None,
    class: |kind| match kind {
        DeclineClass::Funds => class("not enough money", "try again after pay day (*)"),
        DeclineClass::Limit => class("limit of the card", "try again when the limit is free (*)"),
        DeclineClass::Generic => {
            class("refused without a reason", "try again in some days, then ask the customer (*)")
        }
        DeclineClass::Technical => class("fault at bank or gateway", "try again within hours (*)"),
        DeclineClass::CardData => class("card expired or wrong", "ask for a new card by payment link (*)"),
        DeclineClass::MerchantFault => class("refused by the gateway", "see the alarm in `teiki status`"),
        DeclineClass::NeedsCustomer => {
            class("customer must confirm", "send a payment link with 3-D Secure (*)")
        }
        DeclineClass::Hard => {
            class("lost or stolen card", "never again this card; ask for another by link (*)")
        }
    },
    what: |what| match what {
        What::Status => "where the account stands, and what needs a person",
        What::Doctor => "look for anything wrong",
        What::ExportCharges => "every charge as CSV",
        What::ExportInvoices => "every invoice as CSV for Excel",
        What::Run => "bill 2028 too; kill it with -9 on the way and run it again: nothing is charged twice",
        What::HoldOn => "stop all charging of the account",
        What::HoldOff => "let it go on",
        What::ProofKill => "kill teiki dozens of times while it charges, and audit the gateway's book",
    },
};

pub(super) static JAPANESE: Words = Words {
    importing: "購読者の取り込み",
    billing: "請求中",
    checking: "帳簿と決済会社の記録を照合しています",
    charged: "決済",
    failed: "失敗",
    confirming: "確認中",
    title: "teiki デモ: 定期購入の1年間のシミュレーション",
    period: "期間",
    subscribers: "購読者",
    place: "保存先",
    head_charges: "決済",
    succeeded: "成功",
    declined: "決済拒否",
    lost: "応答なし",
    lost_note: "同じ冪等キーで問い合わせて確認済み（二重請求なし）",
    still_unknown: "結果不明",
    still_unknown_note: "確認中。結果が分かるまで新しい決済は行いません",
    head_reasons: "決済拒否の理由",
    head_open: "未収と次の対応",
    nothing_open: "なし",
    invoices: "件",
    total: "合計",
    open_note: &[
        "(*) 自動の再決済と支払いリンクはまだ実装されていません。それまで未収のまま残り、",
        "    `teiki status` に表示されます。次回以降の請求は予定どおり行われます。",
    ],
    head_revenue: "月別の入金額（請求日の月）",
    head_checks: "照合",
    ledger: "帳簿",
    ledger_balances: "一致: 売掛金 {receivable} = 未収の請求書 {owed}、決済会社からの未収入金 {gateway} = 決済額",
    ledger_wrong: "不一致: 売掛金 {receivable}、未収の請求書 {owed}、決済会社からの未収入金 {gateway}",
    doctor: "診断",
    doctor_ok: "問題なし: すべての請求書が決済と仕訳に一致",
    doctor_wrong: "問題が {problems} 件あります。下の doctor を実行してください",
    book: "決済会社の記録",
    book_agrees: "一致: 二重請求 {double} 件、請求漏れ {missed} 件",
    book_wrong: "不一致: 二重請求 {double} 件、請求漏れ {missed} 件、金額違い {wrong} 件",
    book_note: "（subscribers.csv による予定 {due} 件、記録は成功 {collected} 件、拒否 {declined} 件）",
    took: "所要時間 {seconds} 秒",
    head_next: "次に試すこと",
    status: |status| match status {
        "active" => Some("有効"),
        "past_due" => Some("支払い遅延"),
        "canceled" => Some("分割払い完了"),
        "trial" => Some("無料期間"),
        "paused" => Some("休止"),
        _ => None,
    },
    reason: |code| match code {
        "insufficient_funds" => Some("残高不足"),
        "limit_exceeded" => Some("利用限度額超過"),
        "card_declined" => Some("カード会社による拒否"),
        "do_not_honor" => Some("カード会社による拒否（理由なし）"),
        "processing_error" => Some("処理エラー"),
        "expired_card" => Some("有効期限切れ"),
        "incorrect_card_data" => Some("カード情報の誤り"),
        "authentication_required" => Some("本人認証が必要"),
        "stolen_card" => Some("盗難カード"),
        "lost_card" => Some("紛失カード"),
        _ => None,
    },
    class: |kind| match kind {
        DeclineClass::Funds => class("残高不足", "給料日の後に再決済 (*)"),
        DeclineClass::Limit => class("利用限度額", "限度額が空いたら再決済 (*)"),
        DeclineClass::Generic => class("理由のない拒否", "数日後に再決済、その後お客様へ連絡 (*)"),
        DeclineClass::Technical => class("銀行・決済会社の障害", "数時間以内に再決済 (*)"),
        DeclineClass::MerchantFault => class("決済会社が受付拒否", "`teiki status` の警告を確認"),
        DeclineClass::CardData => class("期限切れ・カード情報", "支払いリンクで新しいカードを依頼 (*)"),
        DeclineClass::NeedsCustomer => class("本人認証が必要", "3Dセキュアの支払いリンクを送る (*)"),
        DeclineClass::Hard => class("紛失・盗難カード", "このカードは使わず、別のカードを依頼 (*)"),
    },
    what: |what| match what {
        What::Status => "状況と、対応が必要なもの",
        What::Doctor => "問題がないか調べる",
        What::ExportCharges => "すべての決済を CSV に",
        What::ExportInvoices => "すべての請求書を Excel 用 CSV に",
        What::Run => "2028年も請求。途中で kill -9 して再実行しても二重請求なし",
        What::HoldOn => "このアカウントの決済を止める",
        What::HoldOff => "再開する",
        What::ProofKill => "決済中に何十回も kill して、決済会社の記録を照合する",
    },
};
