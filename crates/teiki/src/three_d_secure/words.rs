//! The words of the page of 3-D Secure, in Japanese and English.

use crate::web::page::Say;

pub(super) const TITLE: Say = Say { ja: "本人認証(3Dセキュア)のテスト", en: "3-D Secure test" };
pub(super) const NOTICE: Say = Say {
    ja: "テスト環境の画面です。カード会社の認証画面の代わりに表示しています。実際のお金は動きません。",
    en: "This is a test page. It stands in for the card issuer's own page; no real money moves.",
};
pub(super) const QUESTION: Say = Say {
    ja: "認証の結果を選ぶと、お店のページに進みます。",
    en: "Choose how the card holder answers to go on to the shop.",
};
pub(super) const SHOP: Say = Say { ja: "お店", en: "Shop" };
pub(super) const SUBJECT: Say = Say { ja: "対象", en: "Subject" };
pub(super) const SUCCEED: Say = Say { ja: "認証に成功する", en: "Succeed" };
pub(super) const FAIL: Say = Say { ja: "認証に失敗する", en: "Fail" };

pub(super) const DONE_TITLE: Say = Say { ja: "本人認証は終わりました", en: "3-D Secure is done" };
pub(super) const DONE: Say = Say {
    ja: "この画面を閉じて、お店のページにお戻りください。",
    en: "Please close this page and go back to the shop.",
};
pub(super) const BACK: Say = Say { ja: "お店のページに戻る", en: "Back to the shop" };

pub(super) const WRONG_KEY: Say = Say {
    ja: "公開鍵(publickey)が正しくありません。お店にお問い合わせください。",
    en: "The public key (publickey) of this address is not valid. Please ask the shop.",
};
pub(super) const WRONG_BACK: Say = Say {
    ja: "戻り先(back_url)が正しくありません。お店にお問い合わせください。",
    en: "The address to go back to (back_url) is not valid. Please ask the shop.",
};
pub(super) const WRONG_FORM: Say = Say {
    ja: "この画面は無効です。お店のページからやり直してください。",
    en: "This form is not valid. Please begin again at the shop.",
};
pub(super) const NOT_IN_FLOW: Say =
    Say { ja: "本人認証の対象ではありません。", en: "This was not begun with 3-D Secure." };
pub(super) const EXPIRED: Say = Say {
    ja: "本人認証の期限が過ぎました。お店のページからやり直してください。",
    en: "The time for 3-D Secure is over. Please begin again at the shop.",
};
