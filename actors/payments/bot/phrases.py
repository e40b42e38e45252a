# ruff: noqa: RUF001 - Russian is written in Cyrillic letters
"""Everything that the bot says, in English and Russian; names in braces are filled in by `texts`.

A language that lacks something does not load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.payments.chains.money import GRAM, Method
from actors.payments.ledger.orders import OrderState

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Phrases:
    """Everything that is said, in one language. Names in braces are filled in."""

    language: str
    # buttons, and what Telegram shows in its list of commands
    plans: str
    orders: str
    help: str
    state: str
    back: str
    copy_amount: str
    copy_address: str
    copy_comment: str
    new_link: str
    commands: Mapping[str, str]
    methods: Mapping[Method, str]
    coins: Mapping[Method, str]  # what amounts are counted in
    # answers
    welcome: str
    how: str
    unclear: str
    which_plan: str
    page: str
    which_way: str
    no_plan: str
    no_order: str
    no_orders: str
    your_orders: str
    full: str
    unavailable: str
    failed: str
    # orders
    head: str
    states: Mapping[OrderState, str]
    pay_tron: str
    pay_ton: str
    deadline: str
    no_more: str
    no_refund: str
    no_address: str
    told: Mapping[str, str]
    told_tokens: Mapping[str, str]  # the same, of tokens that the shop does not take
    download: str
    licence: str
    ended: str
    missing: str
    claim_how: str
    claim_often: str
    claim_unknown: str
    claim_nothing: str
    claim_waiting: str
    claim_unmatched: str
    claim_dust: str
    claim_others: str
    claim_yours: str


EN: Final = Phrases(
    language="en",
    plans="Plans",
    orders="My orders",
    help="Help",
    state="How is it?",
    back="Back",
    copy_amount="Copy amount",
    copy_address="Copy address",
    copy_comment="Copy comment",
    new_link="New link",
    commands={
        "plans": "What can be bought",
        "buy": "Buy a plan",
        "paid": "Show me a payment that I missed: /paid TRANSACTION",
        "orders": "Your orders",
        "status": "Your latest order, or the one that you name",
        "refund": "Say where a refund is to go: /refund ORDER ADDRESS",
        "help": "How it works",
    },
    methods={
        Method.TRON: "USDT on TRON (TRC-20)",
        Method.TON: GRAM,
        Method.TON_USDT: "USDT on TON",
    },
    coins={way: way.symbol for way in Method},
    welcome=f"Welcome! Choose a plan, pay for it in USDT or {GRAM}, and what you bought comes here "
    "by itself.",
    how="How it works:\n"
    "1. /plans shows what can be bought. Choose a plan and a way to pay.\n"
    "2. Pay exactly the amount that I name, in one transfer, before the time is over.\n"
    "3. I tell you when the payment is seen, when the chain has confirmed it, and then bring what "
    "you bought.\n\n"
    "/orders lists your orders, /status ORDER shows one. What you bought can be fetched there "
    "again. A download link works for a few days, and there you get a new one.\n"
    "/paid TRANSACTION shows me a payment that I do not speak of: its id, or its link.",
    unclear="I did not understand that. /plans shows what can be bought, /help how it works.",
    which_plan="What would you like?",
    page=" (page {page} of {pages})",
    which_way="How will you pay?",
    no_plan="That is not on offer, or no longer. See /plans.",
    no_order="You have no such order. See /orders.",
    no_orders="You have no orders yet. See /plans.",
    your_orders="Your orders, the newest first:",
    full="I cannot open another order for you now: too many wait for their payment. Pay one of "
    "them or wait a few minutes. See /orders.",
    unavailable="This does not work at the moment. Nothing is lost; please try again in a minute.",
    failed="Something went wrong here, and we have been told. Please try again later.",
    head="Order {order} · {plan}\nState: {state}",
    states={
        OrderState.NEW: "waiting for your payment",
        OrderState.SEEN: "payment seen, not confirmed yet",
        OrderState.CONFIRMED: "paid",
        OrderState.OVERPAID: "paid, more than asked for",
        OrderState.DELIVERING: "paid, on its way to you",
        OrderState.DELIVERED: "delivered",
        OrderState.EXPIRED: "expired",
        OrderState.PAID_LATE: "paid too late, being looked at",
        OrderState.UNDERPAID: "not paid in full",
        OrderState.REVIEW: "paid, could not be sent to you",
        OrderState.CLOSED: "closed, not paid",
    },
    pay_tron="Pay exactly {amount} USDT on TRON (TRC-20) to\n{address}\n\n"
    "The amount is how I recognise your payment, so send it to the last digit, in one transfer. "
    "Fees of an exchange or a wallet come on top. Any other amount waits for a person.",
    pay_ton="Pay {amount} {symbol} on TON to\n{address}\nwith the comment\n{comment}\n\n"
    "The comment is how I recognise your payment: without it, it waits for a person. Send at least "
    "this amount, in one transfer. Fees of an exchange or a wallet come on top.",
    deadline="Pay before {time} UTC ({minutes} min from now).",
    no_more="Please do not pay for it any more.",
    no_refund="There is nothing to send back for that order. See /orders.",
    no_address="That is no address on the chain that the payment came by. Copy it again, whole: "
    "/refund ORDER ADDRESS.",
    told={
        "seen": "Your payment for order {order} is on the chain. I will tell you as soon as it is "
        "confirmed.",
        "confirmed": "Your payment for order {order} is confirmed. Thank you!",
        "overpaid": "Your payment for order {order} is confirmed; it is more than was asked for. A "
        "person will look at the difference.",
        "expired": "No payment for order {order} came in time. Please do not pay for it any more: "
        "open a new one with /plans. If you have paid and I say nothing of it, show me the "
        "transaction: /paid TRANSACTION. If I do not know it, tell the shop and name the order.",
        "paid_late": "Your payment for order {order} came after its time. It is not lost: a person "
        "will look at it.",
        "underpaid": "{received} of {amount} {symbol} has come for order {order}. Send the missing "
        "{missing} {symbol} with the same comment before {time} UTC, and it is paid. Otherwise a "
        "person will look at it; nothing is lost.",
        "duplicate": "Another {paid} {coin} has come for order {order}, which needed no more. It "
        "is not lost: a person will look at it.",
        "unusual": "{paid} {coin} for order {order} came in an unusual way and does not count by "
        "itself. It is not lost: a person will look at it.",
        "wrong_asset": "{paid} {coin} has come for order {order}, which asks for {amount} "
        "{symbol}, so it does not count for it. It is not lost: a person will look at it.",
        "refund_asked": "{refund} {coin} that came for order {order} is to go back to you. Tell "
        "me where: /refund {order} ADDRESS. Name a wallet of your own: what goes back to an "
        "exchange may be credited to nobody.",
        "refund_planned": "{refund} {coin} that came for order {order} is to go back to {address}. "
        "If that is wrong, say so before it is sent: /refund {order} ADDRESS.",
        "refund_sent": "{refund} {coin} that came for order {order} was sent to {address}, in the "
        "transaction {tx}.",
        "dismissed": "A person has looked at {paid} {coin} that came for order {order}, and "
        "nothing more will be done about it. If you think that is wrong, tell the shop and name "
        "the order.",
    },
    told_tokens={
        "wrong_asset": "Tokens that this shop does not take came with the comment of order "
        "{order}, which asks for {amount} {symbol}, so they do not count for it. A person will "
        "look at them. If you have not paid the order otherwise, send {amount} {symbol} with the "
        "same comment before {time} UTC.",
        "dismissed": "A person has looked at the tokens that came with the comment of order "
        "{order}, and nothing more will be done about them. If you think that is wrong, tell the "
        "shop and name the order.",
    },
    download="Here is what you bought with order {order}:\n{link}\n\n"
    "The link works until {time} UTC and is for you alone. After that, /status {order} gives you a "
    "new one.",
    licence="Here is the licence that you bought with order {order}:\n{code}\n\n"
    "It is for you alone.",
    ended="Its link ended at {time} UTC. The button gives you a new one.",
    missing="What you bought cannot be fetched at the moment, and the shop has been told. Please "
    "ask again later with /status {order}.",
    claim_how="If you have paid and I say nothing, send me the id (hash) of your transaction, or "
    "its link in an explorer: /paid TRANSACTION. One at a time, please.",
    claim_often="I can look up no more transactions for now. Please try again in {minutes} min.",
    claim_unknown="The chain knows no such transaction, or not yet. Please look at the id again, "
    "or send it again in a few minutes.",
    claim_nothing="That transaction brings this shop nothing: it failed, or went to another "
    "address, or is of another token.",
    claim_waiting="That transaction is on the chain and not final yet. I will tell you as soon as "
    "it is.",
    claim_unmatched="That transaction has arrived. It names no order, so a person will look at it.",
    claim_dust="That transaction has arrived. It names no order, and is less than the shop looks "
    "at. If it was for an order, tell the shop and name both.",
    claim_others="That transaction has arrived, and belongs to no order of yours. See /orders.",
    claim_yours="That transaction has arrived and belongs to your order:",
)

_GRAM_RU: Final = "GRAM (ранее TON)"
RU: Final = Phrases(
    language="ru",
    plans="Тарифы",
    orders="Мои заказы",
    help="Помощь",
    state="Как там заказ?",
    back="Назад",
    copy_amount="Скопировать сумму",
    copy_address="Скопировать адрес",
    copy_comment="Скопировать комментарий",
    new_link="Новая ссылка",
    commands={
        "plans": "Что можно купить",
        "buy": "Купить тариф",
        "paid": "Показать платёж, которого я не вижу: /paid ТРАНЗАКЦИЯ",
        "orders": "Ваши заказы",
        "status": "Последний заказ или тот, который вы назовёте",
        "refund": "Назвать адрес для возврата: /refund ЗАКАЗ АДРЕС",
        "help": "Как это работает",
    },
    methods={
        Method.TRON: "USDT в сети TRON (TRC-20)",
        Method.TON: _GRAM_RU,
        Method.TON_USDT: "USDT в сети TON",
    },
    coins={way: _GRAM_RU if way is Method.TON else way.symbol for way in Method},
    welcome=f"Здравствуйте! Выберите тариф, оплатите его в USDT или {_GRAM_RU}, и покупка сама "
    "придёт сюда.",
    how="Как это работает:\n"
    "1. /plans показывает, что можно купить. Выберите тариф и способ оплаты.\n"
    "2. Переведите ровно ту сумму, которую я назову, одним переводом и до указанного времени.\n"
    "3. Я сообщу, когда увижу платёж и когда сеть его подтвердит, а затем пришлю покупку.\n\n"
    "/orders — ваши заказы, /status ЗАКАЗ — один из них. Там же покупку можно получить ещё раз. "
    "Ссылка на скачивание работает несколько дней, и там же вы получите новую.\n"
    "/paid ТРАНЗАКЦИЯ — показать платёж, о котором я молчу: его идентификатор или ссылку.",
    unclear="Не понимаю. /plans показывает, что можно купить, /help — как это работает.",
    which_plan="Что вы хотите купить?",
    page=" (страница {page} из {pages})",
    which_way="Как будете платить?",
    no_plan="Этого сейчас нет в продаже. Смотрите /plans.",
    no_order="Такого заказа у вас нет. Смотрите /orders.",
    no_orders="У вас пока нет заказов. Смотрите /plans.",
    your_orders="Ваши заказы, сначала новые:",
    full="Сейчас новый заказ открыть нельзя: слишком много заказов ждут оплаты. Оплатите один из "
    "них или подождите несколько минут. Смотрите /orders.",
    unavailable="Сейчас это не работает. Ничего не потеряно: попробуйте, пожалуйста, через минуту.",
    failed="Здесь что-то сломалось, и мы об этом уже знаем. Попробуйте, пожалуйста, позже.",
    head="Заказ {order} · {plan}\nСостояние: {state}",
    states={
        OrderState.NEW: "ждёт оплаты",
        OrderState.SEEN: "платёж виден, ещё не подтверждён",
        OrderState.CONFIRMED: "оплачен",
        OrderState.OVERPAID: "оплачен с избытком",
        OrderState.DELIVERING: "оплачен, отправляется вам",
        OrderState.DELIVERED: "доставлен",
        OrderState.EXPIRED: "просрочен",
        OrderState.PAID_LATE: "оплачен поздно, на проверке",
        OrderState.UNDERPAID: "оплачен не полностью",
        OrderState.REVIEW: "оплачен, но доставить не удалось",
        OrderState.CLOSED: "закрыт, не оплачен",
    },
    pay_tron="Переведите ровно {amount} USDT в сети TRON (TRC-20) на адрес\n{address}\n\n"
    "По сумме я узнаю ваш платёж, поэтому переведите её до последней цифры и одним переводом. "
    "Комиссию биржи или кошелька платите сверху. Любую другую сумму будет разбирать человек.",
    pay_ton="Переведите {amount} {symbol} в сети TON на адрес\n{address}\n"
    "с комментарием\n{comment}\n\n"
    "По комментарию я узнаю ваш платёж: без него платёж будет разбирать человек. Переведите не "
    "меньше этой суммы и одним переводом. Комиссию биржи или кошелька платите сверху.",
    deadline="Оплатите до {time} UTC (осталось {minutes} мин).",
    no_more="Пожалуйста, больше не оплачивайте его.",
    no_refund="По этому заказу возвращать нечего. Смотрите /orders.",
    no_address="Это не адрес той сети, по которой пришёл платёж. Скопируйте его целиком: "
    "/refund ЗАКАЗ АДРЕС.",
    told={
        "seen": "Платёж по заказу {order} появился в сети. Сообщу, как только он подтвердится.",
        "confirmed": "Платёж по заказу {order} подтверждён. Спасибо!",
        "overpaid": "Платёж по заказу {order} подтверждён; он больше, чем требовалось. Разницу "
        "посмотрит человек.",
        "expired": "Платёж по заказу {order} вовремя не пришёл. Пожалуйста, больше не оплачивайте "
        "его: откройте новый через /plans. Если вы уже заплатили, а я молчу, покажите мне "
        "транзакцию: /paid ТРАНЗАКЦИЯ. Если я её не знаю, сообщите магазину и назовите заказ.",
        "paid_late": "Платёж по заказу {order} пришёл позже срока. Он не потерян: его посмотрит "
        "человек.",
        "underpaid": "По заказу {order} пришло {received} из {amount} {symbol}. Переведите "
        "недостающие {missing} {symbol} с тем же комментарием до {time} UTC, и заказ будет "
        "оплачен. Иначе его посмотрит человек; ничего не потеряно.",
        "duplicate": "По заказу {order} пришло ещё {paid} {coin}, хотя больше не требовалось. "
        "Деньги не потеряны: их посмотрит человек.",
        "unusual": "По заказу {order} необычным образом пришло {paid} {coin}; само по себе это не "
        "засчитывается. Деньги не потеряны: их посмотрит человек.",
        "wrong_asset": "По заказу {order} пришло {paid} {coin}, а требуется {amount} {symbol}, "
        "поэтому это не засчитывается. Деньги не потеряны: их посмотрит человек.",
        "refund_asked": "{refund} {coin} по заказу {order} вернут вам. Напишите куда: "
        "/refund {order} АДРЕС. Укажите свой собственный кошелёк: возврат на биржу может никому "
        "не зачислиться.",
        "refund_planned": "{refund} {coin} по заказу {order} вернут на адрес {address}. Если он "
        "неверен, напишите об этом до отправки: /refund {order} АДРЕС.",
        "refund_sent": "{refund} {coin} по заказу {order} отправлены на адрес {address}, "
        "транзакция {tx}.",
        "dismissed": "Человек посмотрел {paid} {coin} по заказу {order}; больше с ними ничего "
        "делать не будут. Если это неверно, сообщите магазину и назовите заказ.",
    },
    told_tokens={
        "wrong_asset": "С комментарием заказа {order} пришли токены, которых магазин не принимает, "
        "а требуется {amount} {symbol}, поэтому они не засчитываются. Их посмотрит человек. Если "
        "заказ ещё не оплачен иначе, переведите {amount} {symbol} с тем же комментарием до {time} "
        "UTC.",
        "dismissed": "Человек посмотрел токены, которые пришли с комментарием заказа {order}; "
        "больше с ними ничего делать не будут. Если это неверно, сообщите магазину и назовите "
        "заказ.",
    },
    download="Ваша покупка по заказу {order}:\n{link}\n\n"
    "Ссылка работает до {time} UTC и только для вас. Потом новую даст /status {order}.",
    licence="Ваша лицензия по заказу {order}:\n{code}\n\nОна только для вас.",
    ended="Ссылка перестала работать {time} UTC. Кнопка даст новую.",
    missing="Покупку сейчас нельзя получить, и магазин об этом уже знает. Спросите, пожалуйста, "
    "позже: /status {order}.",
    claim_how="Если вы заплатили, а я молчу, пришлите идентификатор (хеш) транзакции или ссылку на "
    "неё в обозревателе: /paid ТРАНЗАКЦИЯ. Пожалуйста, по одной.",
    claim_often="Сейчас я больше не могу искать транзакции. Попробуйте через {minutes} мин.",
    claim_unknown="Такой транзакции в сети нет или ещё нет. Проверьте идентификатор или пришлите "
    "его снова через несколько минут.",
    claim_nothing="Эта транзакция ничего не принесла магазину: она не прошла, ушла на другой адрес "
    "или сделана в другом токене.",
    claim_waiting="Эта транзакция в сети, но ещё не окончательна. Сообщу, как только станет.",
    claim_unmatched="Эта транзакция пришла. Заказа она не называет, поэтому её посмотрит человек.",
    claim_dust="Эта транзакция пришла. Заказа она не называет, и она меньше того, что разбирает "
    "магазин. Если она была за заказ, сообщите магазину и назовите то и другое.",
    claim_others="Эта транзакция пришла и не относится ни к одному вашему заказу. Смотрите "
    "/orders.",
    claim_yours="Эта транзакция пришла и относится к вашему заказу:",
)

_LANGUAGES: Final = {words.language: words for words in (EN, RU)}


def of(language: str | None) -> Phrases:
    """The phrases of a language tag (IETF BCP 47), such as "ru" or "ru-RU"; English for others."""
    return _LANGUAGES.get((language or "").partition("-")[0].lower(), EN)
